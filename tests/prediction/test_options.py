"""Options of a prediction are checked where they are made."""

import subprocess
import sys

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.prediction.options import DEFAULT_OPTIONS, PredictionOptions
from soars_nnunet.prediction.tiling import Tiling


@pytest.mark.parametrize(("part_id", "num_parts"), [(2, 2), (-1, 2), (0, 0), (1, 1)])
def test_a_part_that_does_not_exist_is_refused(part_id, num_parts):
    with pytest.raises(InputError, match=f"part: expected an id .*, got id {part_id} of {num_parts}"):
        PredictionOptions(part_id=part_id, num_parts=num_parts)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_memory_limit_that_is_none_is_refused(limit):
    with pytest.raises(InputError, match="memory limit: expected a finite number of GiB above 0"):
        PredictionOptions(memory_limit_gib=limit)


@pytest.mark.parametrize(
    ("asked", "used"), [("default", "large"), ("large", "large"), ("everywhere", "everywhere-large")]
)
def test_fast_takes_large_tiles_whatever_else_was_asked_for(asked, used):
    tiling = Tiling(asked, step_size=0.75)
    assert PredictionOptions(tiling=tiling, fast=True).used_tiling == Tiling(used, step_size=0.75)
    assert PredictionOptions(tiling=tiling).used_tiling == tiling


def test_options_are_made_without_torch():
    assert DEFAULT_OPTIONS.folds is None
    code = "import sys, soars_nnunet.prediction.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
