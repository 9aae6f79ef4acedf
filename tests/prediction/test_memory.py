"""Memory is estimated and checked before a CT is worked on."""

import re
import struct
import subprocess
import sys

import numpy as np
import psutil
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cli import cascade_predict as cascade_predict_command
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.prediction import branch_model as inference
from soars_nnunet.prediction import files as files
from soars_nnunet.prediction import memory as memory
from soars_nnunet.prediction import succession as succession
from soars_nnunet.prediction.memory import (
    GIB,
    MemoryPlan,
    Needed,
    available_bytes,
    estimate,
    require_memory,
    total_bytes,
)
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.tiling import Tiling


def peak(*arguments, **options):
    return estimate(*arguments, **options).alone


def test_estimate_grows_with_the_image_the_grid_and_the_classes(untrained_cascade):
    models = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS)).models
    small, large = ((64, 128, 128), (128, 256, 256))
    spacing = (4.0, 2.0, 2.0)
    halved = tuple(mm / 2 for mm in spacing)
    few = [models["anchor"]]
    assert peak(small, spacing, few) < peak(small, spacing, models.values())
    # the same patient on a finer image grid: what networks hold does not grow, what the image holds does
    voxels = np.prod(large) - np.prod(small)
    grown = peak(large, halved, models.values()) - peak(small, spacing, models.values())
    assert 9 * voxels < grown < 40 * voxels
    assert peak(large, spacing, few) > peak(large, halved, few)
    assert peak(large, halved, few, pixel_bytes=8) >= peak(large, halved, few) + 6 * np.prod(large)
    vois = [(60.0, 60.0, 60.0)] * 10
    assert peak(small, spacing, models.values(), vois) > peak(small, spacing, models.values())
    mirrored = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(mirror=True)).models[
        "anchor"
    ]
    coarse = (40.0, 20.0, 20.0)  # few image voxels: the networks take the most
    assert peak(small, coarse, [mirrored]) > peak(small, coarse, few)


def test_a_large_tile_may_be_larger_in_the_patients_box_than_in_the_whole_grid(untrained_cascade, monkeypatch):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    model = CascadePredictor(manifest, PredictionOptions(tiling=Tiling("large"))).models["anchor"]
    monkeypatch.setattr(memory, "MAX_TILE_VOXELS", 50**3)
    monkeypatch.setattr(inference, "MAX_TILE_VOXELS", 50**3)
    whole, box = (51, 50, 50), (50, 50, 50)
    assert np.prod(model.tile(whole).shape) < 0.8 * np.prod(box) == 0.8 * np.prod(model.tile(box).shape)
    sizes_mm = [[n * mm for n, mm in zip(shape, model.spacing_mm, strict=True)] for shape in (whole, box)]
    estimates = [peak((2, 2, 2), [mm / 2 for mm in size_mm], [model]) for size_mm in sizes_mm]
    assert estimates[0] >= estimates[1]


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB + GIB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GIB // 2}\n")  # cache that can be given back
    monkeypatch.setattr(memory, "CGROUPS", ((str(tmp_path), *memory.CGROUPS[0][1:]),))
    assert available_bytes() == min(GIB, psutil.virtual_memory().available)
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() > GIB
    # a batch job's group lies below
    job = tmp_path / "slurm" / "job_7"
    job.mkdir(parents=True)
    (tmp_path / "own").write_text("3:cpu:/elsewhere\n0::/slurm/job_7\n")
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "own")
    (job.parent / "memory.max").write_text(f"{GIB}\n")
    for folder in (job, job.parent):
        (folder / "memory.current").write_text(f"{GIB // 2}\n")
        (folder / "memory.stat").write_text("inactive_file 0\n")
    (job / "memory.max").write_text("max\n")
    assert available_bytes() == GIB // 2
    (job / "memory.max").write_text(f"{GIB // 2 + 5}\n")
    assert available_bytes() == 5
    assert total_bytes() == GIB // 2 + 5


def test_too_little_memory_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 4 * GIB)
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
    monkeypatch.setattr(memory, "OVERHEAD_BYTES", GIB)
    small = Needed(1 * GIB, 4 * GIB, 3 * GIB, prepared=GIB, inferred=2 * GIB)
    large = Needed(2 * GIB, 5 * GIB, 4 * GIB, prepared=GIB, inferred=2 * GIB)
    assert (small.alone, Needed.side_by_side([small, large])) == (5 * GIB, 12 * GIB)
    monkeypatch.setattr(memory, "held_bytes", lambda: GIB)
    monkeypatch.setattr(memory, "total_bytes", lambda: 64 * GIB)
    free = 12 * GIB
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
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
    monkeypatch.setattr(memory, "OVERHEAD_BYTES", 0)
    monkeypatch.setattr(memory, "held_bytes", lambda: 3 * GIB)
    monkeypatch.setattr(memory, "total_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * GIB)
    lone = {"a": Needed(1 * GIB, 4 * GIB, 3 * GIB)}
    plan = MemoryPlan.of(lone, None, read=GIB)
    assert plan.describe() == "estimated peak memory 6.0 GiB, 6.0 GiB may be used"
    plan.require("a")
    with pytest.raises(InputError, match="a: expected to need"):
        MemoryPlan.of(lone, None).require("a")
    assert not MemoryPlan.of(lone, 6.0, read=GIB).too_large and MemoryPlan.of(lone, 6.0).too_large


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_the_estimate_of_reading_holds_for_floating_files(tmp_path):
    """Peak of a fresh process that reads a CT, above what it held before."""
    shape = (60, 300, 300)
    values = np.random.default_rng(0).normal(0, 500, shape).clip(-1024, 3000)
    for dtype in (np.int16, np.float32):
        path = tmp_path / f"{np.dtype(dtype).name}.nii.gz"
        sitk.WriteImage(sitk.GetImageFromArray(values.astype(dtype)), str(path), True, 1)
        code = (
            "import resource, sys\nimport numpy as np\n"
            "from soars_nnunet.images.ct import read_ct\nfrom soars_nnunet.images.network_frame import Scan\n"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
            "before = peak()\nScan.of(read_ct(sys.argv[1]), 'a')\nprint(peak() - before)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        pixel = np.dtype(dtype).itemsize
        assert int(done.stdout) / np.prod(shape) < max(3 * pixel, 2 * pixel + 5) + 1.5


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
    monkeypatch.setattr(memory, "available_bytes", lambda: next(free, 64 * GIB))
    command = ["-d", "7", "-i", str(tmp_path), "-o", str(tmp_path / "out"), "--device", "cpu", "--folds", "0"]
    monkeypatch.setattr(memory, "total_bytes", lambda: 1000 * GIB)
    assert cascade_predict_command.main(command) == 0, capsys.readouterr().err
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)  # has not come free
    read = []
    monkeypatch.setattr(succession, "read_ct", lambda path: read.append(path.name) or read_ct(path))
    assert cascade_predict_command.main([*command, "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert "a: expected to need" in error and "b: expected to need" in error and not read
    monkeypatch.setattr(memory, "total_bytes", lambda: 0)  # never
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
