"""Where detection targets are found in heat maps."""

import numpy as np
import pytest
import torch

from soars_nnunet.cascade.target_facts import TargetFacts
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.prediction.on_grid import OnGrid
from soars_nnunet.prediction.peaks import read_peaks

# the network sees an image of 40 x 60 x 60 voxels, without 4 slices at its feet, at half the resolution
GRID = Grid(
    image_shape=(40, 60, 60),
    crop=((4, 40), (0, 60), (0, 60)),
    shape=(18, 30, 30),
    image_spacing_mm=(3.0, 1.0, 2.0),
)
FACTS = TargetFacts(size_mm=(30.0, 30.0, 30.0), low_confidence_below=0.4, mean_error_mm=1.0, missed=0, cases=9)


def heatmap(voxel, height):
    """Highest at one voxel of the network grid, and alike around it."""
    z, y, x = np.indices(GRID.shape)
    squared = (z - voxel[0]) ** 2 + (y - voxel[1]) ** 2 + (x - voxel[2]) ** 2
    return torch.from_numpy(height * np.exp(-squared / 4)).float()


def peaks_of(sigma_mm=8.0, **heatmaps):
    stacked = torch.stack(list(heatmaps.values()))
    return read_peaks(OnGrid(stacked, GRID), list(heatmaps), dict.fromkeys(heatmaps, FACTS), sigma_mm)


def test_a_peak_is_given_in_voxels_of_the_whole_image():
    peak = peaks_of(ear=heatmap((9, 15, 12), 0.75))["ear"]
    assert peak.target == "ear" and peak.status == "found"
    assert peak.height == pytest.approx(0.75)
    # voxel i of the network covers image voxels 2 i and 2 i + 1, from the crop's start on
    assert peak.center_vox == pytest.approx((4 + 18.5, 30.5, 24.5), abs=1e-4)


@pytest.mark.parametrize(("height", "status"), [(0.41, "found"), (0.39, "low_confidence"), (0.19, "not_found")])
def test_a_low_peak_is_doubted_and_a_very_low_one_is_none(height, status):
    assert peaks_of(ear=heatmap((9, 15, 15), height))["ear"].status == status


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", ["first", "last"])
def test_a_peak_at_the_border_of_the_scan_is_cut(axis, side):
    voxel = [9, 15, 15]
    voxel[axis] = 0 if side == "first" else GRID.shape[axis] - 1
    status = peaks_of(middle=heatmap((9, 15, 15), 0.9), ear=heatmap(voxel, 0.9))
    at_image_border = axis != 0 or side == "last"  # the crop starts 4 slices, 12 mm, further up
    assert status["ear"].status == ("cut_by_field_of_view" if at_image_border else "found")
    assert status["middle"].status == "found"
    absent = peaks_of(ear=heatmap(voxel, 0.1))["ear"]
    assert absent.status == "not_found", "what is not there is not cut either"


def test_no_heat_map_has_no_peak():
    assert read_peaks(OnGrid(torch.zeros(0, *GRID.shape), GRID), [], {}, 4.0) == {}
