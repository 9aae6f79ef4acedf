"""Memory is checked before a CT is worked on."""

import re
import struct

import psutil
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cli import cascade_predict as cascade_predict_command
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.prediction import files as files
from soars_nnunet.prediction import memory_estimate, memory_plan
from soars_nnunet.prediction import succession as succession
from soars_nnunet.prediction.memory_estimate import Needed
from soars_nnunet.prediction.memory_limits import GIB
from soars_nnunet.prediction.memory_plan import MemoryPlan, require_memory


def test_too_little_memory_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(memory_plan, "available_bytes", lambda: 4 * GIB)
    require_memory(3 * GIB, None, "a")
    with pytest.raises(InputError, match="a: expected to need .* GiB of memory, .* GiB may be used; close"):
        require_memory(5 * GIB, None, "a")
    with pytest.raises(InputError, match="2.0 GiB may be used; raise"):
        require_memory(3 * GIB, 2.0, "a")
    require_memory(5 * GIB, 100.0, "a")
    # a limit is for what was held at first and one CT, whatever the process has read and freed meanwhile
    require_memory(GIB, 2.0, "a", held=GIB)
    with pytest.raises(InputError, match=r"a: expected to need 2\.5 GiB of memory, 2\.0 GiB may be used"):
        require_memory(GIB, 2.0, "a", held=GIB + GIB // 2)


def test_cases_are_worked_on_side_by_side_where_there_is_room(monkeypatch):
    monkeypatch.setattr(memory_estimate, "OVERHEAD_BYTES", GIB)
    small = Needed(1 * GIB, 4 * GIB, 3 * GIB, prepared=GIB, inferred=2 * GIB)
    large = Needed(2 * GIB, 5 * GIB, 4 * GIB, prepared=GIB, inferred=2 * GIB)
    assert (small.alone, Needed.side_by_side([small, large])) == (5 * GIB, 12 * GIB)
    monkeypatch.setattr(memory_plan, "held_bytes", lambda: GIB)
    monkeypatch.setattr(memory_plan, "total_bytes", lambda: 64 * GIB)
    free = 12 * GIB
    monkeypatch.setattr(memory_plan, "available_bytes", lambda: free)
    both = {"a": small, "b": large}
    plan = MemoryPlan.of(both, None)
    assert plan.side_by_side and plan.describe() == "estimated peak memory 13.0 GiB, 13.0 GiB may be used"
    assert not MemoryPlan.of({"b": large}, None).side_by_side, "a lone case has none beside it"
    assert plan.further("b", "a") == (5 - 1 + 3 - 2) * GIB and plan.further("b") == 4 * GIB
    assert plan.further("b", "without a header") == 4 * GIB and plan.further("without a header", "a") == 0
    free = 5 * GIB
    plan.require("b")  # is cached: side by side, it is asked for when its networks start
    one_by_one = MemoryPlan.of(both, None)
    assert not one_by_one.side_by_side
    one_by_one.require("a")
    with pytest.raises(InputError, match=r"b: expected to need 7\.0 GiB of memory, 6\.0 GiB may be used; close"):
        one_by_one.require("b")
    for limit_gib, expected, text in ((13.5, True, "13.0"), (12.5, False, "7.0")):
        limited = MemoryPlan.of(both, limit_gib)
        assert limited.side_by_side is expected and limited.further("b", "a") == 0
        assert limited.describe() == f"estimated peak memory {text} GiB, {limit_gib} GiB may be used"
    tight = MemoryPlan.of(both, 6.5)
    assert list(tight.too_large) == ["b"] and tight.possible == [small]
    with pytest.raises(InputError, match=r"b: expected to need 7\.0 GiB"):
        tight.require("b")
    tight.require("a")


def test_what_is_read_already_is_not_counted_twice(monkeypatch):
    monkeypatch.setattr(memory_estimate, "OVERHEAD_BYTES", 0)
    monkeypatch.setattr(memory_plan, "held_bytes", lambda: 3 * GIB)
    monkeypatch.setattr(memory_plan, "total_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(memory_plan, "available_bytes", lambda: 3 * GIB)
    lone = {"a": Needed(1 * GIB, 4 * GIB, 3 * GIB)}
    plan = MemoryPlan.of(lone, None, read=GIB)
    assert plan.describe() == "estimated peak memory 6.0 GiB, 6.0 GiB may be used"
    plan.require("a")
    with pytest.raises(InputError, match="a: expected to need"):
        MemoryPlan.of(lone, None).require("a")
    assert not MemoryPlan.of(lone, 6.0, read=GIB).too_large and MemoryPlan.of(lone, 6.0).too_large


def test_a_lone_ct_over_the_limit_is_not_even_read(untrained_cascade, tmp_path, capsys, monkeypatch):
    path = tmp_path / "huge.nii.gz"
    sitk.WriteImage(sitk.Image(400, 400, 400, sitk.sitkFloat32), str(path))
    monkeypatch.setattr(files, "read_ct", lambda path: pytest.fail("was read"))
    limit = psutil.Process().memory_info().rss / GIB + 0.2
    arguments = ["-d", "7", "-i", str(path), "-o", str(tmp_path / "out"), "--memory-limit", f"{limit:.2f}"]
    assert cascade_predict_command.main([*arguments, "--device", "cpu"]) == 2
    assert "huge: expected to need" in capsys.readouterr().err


def test_a_damaged_header_is_no_matter_of_memory(untrained_cascade, tmp_path, capsys):
    ct = sitk.ReadImage(str(raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    sitk.WriteImage(ct, str(tmp_path / "usual.nii.gz"))
    sitk.WriteImage(ct, str(tmp_path / "damaged.nii"))
    content = bytearray((tmp_path / "damaged.nii").read_bytes())
    content[42:48] = struct.pack("<3h", 32000, 32000, 32000)  # the size in voxels
    (tmp_path / "damaged.nii").write_bytes(content)
    assert (
        cascade_predict_command.main(["-d", "7", "-i", str(tmp_path), "-o", str(tmp_path / "out"), "--device", "cpu"])
        == 2
    )
    out, err = capsys.readouterr()
    assert "expected a readable image file" in err and "memory" not in err
    assert float(re.search(r"estimated peak memory ([0-9.]+) GiB", out)[1]) < 20
    assert (tmp_path / "out" / "usual.nii.gz").is_file()


def test_memory_that_others_use_may_come_free(untrained_cascade, tmp_path, monkeypatch, capsys):
    ct = sitk.ReadImage(str(raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    for case in "ab":
        sitk.WriteImage(ct, str(tmp_path / f"{case}.nii.gz"))
    free = iter([0])  # at the start
    monkeypatch.setattr(memory_plan, "available_bytes", lambda: next(free, 64 * GIB))
    command = ["-d", "7", "-i", str(tmp_path), "-o", str(tmp_path / "out"), "--device", "cpu", "--folds", "0"]
    monkeypatch.setattr(memory_plan, "total_bytes", lambda: 1000 * GIB)
    assert cascade_predict_command.main(command) == 0, capsys.readouterr().err
    monkeypatch.setattr(memory_plan, "available_bytes", lambda: 0)  # has not come free
    read = []
    monkeypatch.setattr(succession, "read_ct", lambda path: read.append(path.name) or read_ct(path))
    assert cascade_predict_command.main([*command, "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert "a: expected to need" in error and "b: expected to need" in error and not read
    monkeypatch.setattr(memory_plan, "total_bytes", lambda: 0)  # never
    assert cascade_predict_command.main([*command, "--overwrite"]) == 2
    assert "a: expected to need" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "much"])
def test_a_limit_that_is_none_is_refused(limit, capsys):
    with pytest.raises(SystemExit) as refusal:
        cascade_predict_command.main(["-i", "a.nii.gz", "-o", "out", "--memory-limit", limit])
    assert refusal.value.code == 2 and "--memory-limit" in capsys.readouterr().err


def test_a_ct_over_the_limit_is_not_even_read_and_the_others_are_done(untrained_cascade, tmp_path, capsys, monkeypatch):
    ct = sitk.ReadImage(str(raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    folder = tmp_path / "in"
    folder.mkdir()
    sitk.WriteImage(ct, str(folder / "usual.nii.gz"))
    sitk.WriteImage(sitk.Expand(ct, (8, 8, 8), sitk.sitkNearestNeighbor), str(folder / "huge.nii.gz"))
    read = []
    monkeypatch.setattr(succession, "read_ct", lambda path: read.append(path.name) or read_ct(path))
    limit = psutil.Process().memory_info().rss / GIB + 0.5
    arguments = ["-d", "7", "-i", str(folder), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert cascade_predict_command.main([*arguments, "--memory-limit", f"{limit:.2f}"]) == 2
    out, err = capsys.readouterr()
    assert "2 CT(s); estimated peak memory" in out
    assert "huge: expected to need" in err and "usual:" not in err and "Traceback" not in err
    assert (tmp_path / "out" / "usual.nii.gz").is_file() and not (tmp_path / "out" / "huge.nii.gz").exists()
    assert read == ["usual.nii.gz"]
