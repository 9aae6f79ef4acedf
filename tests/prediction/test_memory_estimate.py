"""What the prediction of a CT takes is estimated before it starts."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.prediction import branch_model as inference
from soars_nnunet.prediction import files as files
from soars_nnunet.prediction import memory_estimate
from soars_nnunet.prediction import succession as succession
from soars_nnunet.prediction.memory_estimate import estimate
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
    monkeypatch.setattr(memory_estimate, "MAX_TILE_VOXELS", 50**3)
    monkeypatch.setattr(inference, "MAX_TILE_VOXELS", 50**3)
    whole, box = (51, 50, 50), (50, 50, 50)
    assert np.prod(model.tile(whole).shape) < 0.8 * np.prod(box) == 0.8 * np.prod(model.tile(box).shape)
    sizes_mm = [[n * mm for n, mm in zip(shape, model.spacing_mm, strict=True)] for shape in (whole, box)]
    estimates = [peak((2, 2, 2), [mm / 2 for mm in size_mm], [model]) for size_mm in sizes_mm]
    assert estimates[0] >= estimates[1]


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_the_estimate_of_reading_holds_for_floating_files(tmp_path):
    """Peak of a fresh process that reads a CT, above what it held before."""
    shape = (60, 300, 300)
    noise = np.random.default_rng(0).normal(0, 100, shape)
    values = np.full(shape, -1000.0)  # a block of soft tissue and bone in air: noise alone is refused
    values[:, 60:240, 60:240] = 40.0
    values[:, 140:160, 140:160] = 800.0
    values = (values + noise).clip(-1024, 3000)
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
