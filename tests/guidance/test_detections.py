"""Distances of detected centres and of binarised heat maps."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk
from guidance.sources import gaussian
from scipy.ndimage import center_of_mass

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS, DETECTIONS
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels, write_channels
from soars_nnunet.cli import channels as channels_command
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.guidance.detections import (
    DetectionScore,
    Spread,
    format_detections,
    score_detections,
    summarise_detections,
)


def test_planted_shifts_are_measured(cascade_copy):
    """Heat maps drawn a known way off the organs' centres score just that."""
    cascade, shift_mm = cascade_copy, np.array([6.0, -3.0, 2.0])
    target, names = next((t, o) for t, o in cascade.profile.targets.items() if t == "Pituitary")
    row = list(cascade.profile.targets).index(target)
    for case in (case for split in cascade.splits() for case in split["val"]):
        path = raw_folder() / cascade.source / "labelsTr" / f"{case}.nii.gz"
        image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS")
        labels = sitk.GetArrayFromImage(image)
        center = np.array(center_of_mass(np.isin(labels, [cascade.labels[organ.name] for organ in names])))
        heatmaps = read_channels(cascade.channels("detection", DEFAULT_PLANS), case)
        _, _, properties = load_preprocessed(cascade.data("detection", DEFAULT_PLANS), case)
        grid = Grid.from_properties(properties, heatmaps.shape[1:])
        moved = grid.to_network(center + shift_mm / np.array(image.GetSpacing()[::-1]))
        heatmaps[row] = gaussian(grid.shape, moved, grid.spacing_mm)
        write_channels(cascade.channels("detection", DEFAULT_PLANS), case, heatmaps)
    scores = [score for score in score_detections(cascade, DEFAULT_PLANS) if score.target == target]
    assert len(scores) == 4
    for score in scores:
        # a Gaussian of 8 mm on voxels of 8 and 9 mm: the centroid of 3 x 3 x 3 voxels is not exact
        assert score.distance_mm == pytest.approx(np.linalg.norm(shift_mm), abs=3)
    others = [score for score in score_detections(cascade, DEFAULT_PLANS) if score.target != target]
    assert np.mean([score.distance_mm for score in others]) > 20  # untrained


def test_means_are_over_targets_as_in_the_papers_table():
    scores = [DetectionScore("a", "Ear_L", 1, 2.0, 4.0), DetectionScore("b", "Ear_L", 1, 4.0, 8.0)]
    scores.append(DetectionScore("a", "Pineal", 1, 9.0, 3.0))
    rows = summarise_detections(scores)
    assert rows["Ear_L"].distance_mm == Spread(3.0, pytest.approx(np.sqrt(2)))
    assert rows["Pineal"].hd_mm == Spread(3.0, None)
    assert rows["Average"].distance_mm.mean == 6.0 and rows["Average"].n == 2
    lines = format_detections(scores, (3.0, 2.0, 2.5))
    assert len(lines) == 4 and lines[-1] == "HD of the 1000 brightest voxels of 3 x 2 x 2.5 mm (Z, Y, X)"
    assert summarise_detections([]) == {} and format_detections([], (3.0, 2.0, 2.5)) == []


def test_channels_write_a_row_per_case_and_target_beside_the_crops(cascade_copy, capsys):
    crops = cascade_copy.raw("small_hard") / "dataset.json"
    before = crops.stat().st_mtime_ns
    assert channels_command.main(["-d", "7", "--device", "cpu"]) == 0
    assert "HD of the 1000 brightest voxels" in capsys.readouterr().out and crops.stat().st_mtime_ns != before
    path = cascade_copy.channels("detection", DEFAULT_PLANS) / DETECTIONS
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 4 * len(cascade_copy.profile.targets)
