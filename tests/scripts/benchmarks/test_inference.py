"""scripts/benchmarks/inference.py: commands, stages and limits of what is measured."""

import sys
from types import SimpleNamespace

import pytest

from scripts.benchmarks.inference import OURS, VARIANTS, cells_of, command_of, measure, stage_seconds

CASCADE = SimpleNamespace(source="Dataset042_X", datasets={"baseline": "Dataset425_XBaseline"})


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_its_command(variant, tmp_path):
    command = command_of(variant, tmp_path / "ct", tmp_path / "out", CASCADE, "cpu")
    assert command[0] == ("soars-cascade-predict" if variant in OURS else "nnUNetv2_predict")
    assert command[command.index("-i") + 1] == str(tmp_path / "ct")


def test_parts_of_the_organs():
    assert len(OURS["anchors"]) == 1 + 9 and len(OURS["not_small"]) == 1 + 30


def test_stages_end_where_the_next_one_begins():
    begun = {"preprocessing": 10.0, "network": 13.0, "export": 20.0}
    assert stage_seconds(begun, 21.0) == {"preprocessing": 3.0, "network": 7.0, "export": 1.0}


def test_a_command_is_measured_from_start_to_end():
    code = "import time; print('Predicting x'); time.sleep(.3); print('estimated peak memory 1.5 GiB')"
    row = measure([sys.executable, "-u", "-c", code], limit_gib=4)
    assert row["seconds"] >= 0.3 and row["stages"]["network"] >= 0.25
    assert row["estimated_gib"] == 1.5 and not row["died"]
    assert 0 < row["gib"] < 1


def test_a_command_that_takes_too_much_or_fails_says_so():
    big = measure([sys.executable, "-c", "import time; x = bytearray(200 << 20); time.sleep(30)"], limit_gib=0.1)
    assert big["died"] == "over 0.1 GiB" and big["seconds"] < 20
    failed = measure([sys.executable, "-c", "raise SystemExit('no such model')"], limit_gib=4)
    assert "no such model" in failed["died"]
    assert "no such model" in cells_of("small", "stock", failed)[2]
