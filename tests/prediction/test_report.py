"""What a report says, and how it is stored."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from prediction.cases import full_size

from soars_nnunet.geometry.stitch import Candidate
from soars_nnunet.images.network_frame import Scan, to_network_frame
from soars_nnunet.prediction.peaks import Peak
from soars_nnunet.prediction.report import ModelRow, OrganRow, Report, TargetRow, organ_rows, target_rows
from soars_nnunet.profile import Organ


def test_heat_map_peaks_lie_where_the_report_says(predictor, image, prediction):
    inference = predictor.infer(Scan.of(image, "somebody"))
    heatmaps, grid = inference.heatmaps.values, inference.heatmaps.grid
    oriented = sitk.DICOMOrient(image, "RAS")
    for heatmap, (target, row) in zip(heatmaps, prediction[1]["targets"].items(), strict=True):
        center = oriented.TransformPhysicalPointToContinuousIndex(row["center_mm"])[::-1]
        voxel = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
        assert np.abs(grid.to_network(center) - voxel).max() <= 1.01, target
        assert row["peak"] == pytest.approx(float(heatmap.max()), abs=1e-3)


def test_report_agrees_with_the_volume(predictor, image, prediction):
    labels, report = prediction
    assert json.loads(json.dumps(report)) == report
    array = sitk.GetArrayFromImage(labels)
    inner = np.zeros(array.shape, bool)
    inner[1:-1, 1:-1, 1:-1] = True
    voxel_ml = np.prod(image.GetSpacing()) / 1000
    assert list(report["organs"]) == [organ.name for organ in predictor.profile.organs]
    for organ in predictor.profile.organs:
        row, mask = report["organs"][organ.name], array == organ.label
        assert row["label"] == organ.label and row["tier"] == organ.tier
        assert row["volume_ml"] == pytest.approx(mask.sum() * voxel_ml, abs=1e-3)
        expected = report["targets"][organ.target]["status"] if organ.target else "found"
        if (mask & ~inner).any():
            expected = "cut_by_field_of_view"
        if not mask.any():
            assert row["status"] in ("not_found", "absent"), organ.name
            expected = row["status"]
        assert row["status"] == expected, organ.name
        if not mask.any():
            assert row["confidence"] is None
        elif organ.target:
            assert row["confidence"] == report["targets"][organ.target]["peak"]
        else:
            assert 0.1 < row["confidence"] <= 1
    statuses = {row["status"] for row in report["organs"].values()}
    assert statuses >= {"found", "not_found", "cut_by_field_of_view"}


def test_mean_probability_is_the_confidence_of_anchors(predictor, image, prediction):
    inference = predictor.infer(Scan.of(image, "somebody"))
    labels = to_network_frame(prediction[0])[0][0]
    channel, best, _ = full_size(inference.tiers["anchor"])
    for index, name in enumerate(predictor.manifest.branches["anchor"].classes, 1):
        mask = (labels == predictor.labels[name]) & (channel == index)
        if mask.any():
            assert prediction[1]["organs"][name]["confidence"] == pytest.approx(best[mask].mean(), abs=2e-3)


def test_organ_at_the_border_is_cut(untrained_cascade, predictor, image, prediction):
    """The scan ends inside an organ that lay wholly inside before."""
    array = sitk.GetArrayFromImage(prediction[0])
    found = [
        o for o in predictor.profile.organs if prediction[1]["organs"][o.name]["status"] == "found" and not o.target
    ]
    organ = max(found, key=lambda o: np.count_nonzero(array == o.label))
    middle = int(np.median(np.argwhere(array == organ.label)[:, 0]))
    properties = SimpleNamespace(spacing=image.GetSpacing()[::-1])
    for start, expected in ((0, "found"), (middle, "cut_by_field_of_view")):
        part = torch.from_numpy(array[start:])
        tier = Candidate(part, torch.full(part.shape, 0.75))
        row = organ_rows(part, properties.spacing, [organ], {}, tiers={organ.tier: tier})[organ.name]
        assert (row.status, row.confidence) == (expected, 0.75)
    _, report = predictor.predict(image[:, :, middle:], "cut")
    border = sitk.GetArrayFromImage(predictor.predict(image[:, :, middle:])[0])[0]
    touching = [o.name for o in predictor.profile.organs if (border == o.label).any()]
    assert touching and all(report["organs"][name]["status"] == "cut_by_field_of_view" for name in touching)


REPORT = Report(
    case="a",
    profile="hn42",
    labels={"background": 0, "Eye_L": 3, "Pineal": 41},
    organs={
        "Eye_L": OrganRow(label=3, tier="anchor", volume_ml=7.25, status="found", confidence=0.75),
        "Pineal": OrganRow(label=41, tier="small_hard", volume_ml=0.0, status="absent", confidence=None),
    },
    targets={"pineal": TargetRow(center_mm=[1.0, -2.5, 3.0], peak=0.125, status="absent")},
    largest_part=["Eye_L"],
    warnings=["first", "second"],
    models={"anchor": ModelRow(name="SOARSAnchorTrainer__nnUNetPlans__3d_fullres", folds=[0, 1])},
    provenance={"torch": "2.0"},
    seconds={"check": 0.25, "anchor": 1.5},
)


def test_a_report_is_stored_as_older_versions_stored_it():
    expected = """
    {"case": "a", "profile": "hn42", "labels": {"background": 0, "Eye_L": 3, "Pineal": 41},
     "organs": {"Eye_L": {"label": 3, "tier": "anchor", "volume_ml": 7.25, "status": "found", "confidence": 0.75},
                "Pineal": {"label": 41, "tier": "small_hard", "volume_ml": 0.0, "status": "absent",
                           "confidence": null}},
     "targets": {"pineal": {"center_mm": [1.0, -2.5, 3.0], "peak": 0.125, "status": "absent"}},
     "largest_part": ["Eye_L"], "warnings": ["first", "second"],
     "models": {"anchor": {"name": "SOARSAnchorTrainer__nnUNetPlans__3d_fullres", "folds": [0, 1]}},
     "provenance": {"torch": "2.0"}, "seconds": {"check": 0.25, "anchor": 1.5}}
    """
    assert json.dumps(REPORT.to_json()) == json.dumps(json.loads(expected)), "also in this order"


def test_volumes_of_training_are_stored_where_they_are_known():
    eye = OrganRow(3, "anchor", 0.5, "found", 0.75, [5.0, 9.0], "far_below_training")
    stored = replace(REPORT, organs={"Eye_L": eye}).to_json()["organs"]["Eye_L"]
    assert stored["training_ml"] == [5.0, 9.0] and stored["volume_flag"] == "far_below_training"


def test_the_summary_counts_statuses_and_repeats_warnings():
    assert REPORT.summary() == "  a: 1 found, 1 absent in 1.8 s\n  warning: first\n  warning: second"


def test_centres_of_targets_are_in_the_scans_own_millimetres():
    """Against SimpleITK, with axes that are turned and of unequal spacing."""
    image = sitk.Image(8, 9, 10, sitk.sitkUInt8)
    image.SetSpacing((0.5, 2.0, 3.0))
    image.SetOrigin((-10.0, 20.0, 35.5))
    image.SetDirection((0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0))
    stuff = {"origin": image.GetOrigin(), "spacing": image.GetSpacing(), "direction": image.GetDirection()}
    peak = Peak(target="ear_l", height=0.98765, center_vox=(2.25, 3.5, 4.75), status="low_confidence")
    (row,) = target_rows({"ear_l": peak}, stuff).values()
    expected = image.TransformContinuousIndexToPhysicalPoint(peak.center_vox[::-1])
    assert row.center_mm == [round(mm, 2) for mm in expected]
    assert (row.peak, row.status) == (0.988, "low_confidence")
    assert target_rows({}, stuff) == {}


def test_rows_of_organs_count_voxels_and_take_confidence_from_peaks_or_probabilities():
    labels = torch.zeros(6, 7, 8, dtype=torch.uint8)
    labels[2:4, 2:4, 2:4] = 1  # 8 voxels
    labels[0, 3, 3] = 2  # on a face
    probability = torch.full(labels.shape, 0.5)
    probability[2, 2:4, 2:4] = 0.75  # half of the first organ
    tiers = {"anchor": Candidate(labels, probability)}
    organs = [
        Organ("Eye_L", 1, "Eye_L", "anchor"),
        Organ("Brainstem", 2, "Brainstem", "anchor"),
        Organ("SpinalCord", 3, "SpinalCord", "anchor"),
        Organ("Pineal", 1, "Pineal", "small_hard", target="pineal"),
    ]
    peaks = {"pineal": Peak(target="pineal", height=0.2004, center_vox=(0.0, 0.0, 0.0), status="low_confidence")}
    rows = organ_rows(labels, (5.0, 2.0, 1.0), organs, peaks, tiers=tiers)
    assert rows == {
        "Eye_L": OrganRow(label=1, tier="anchor", volume_ml=0.08, status="found", confidence=0.625),
        "Brainstem": OrganRow(label=2, tier="anchor", volume_ml=0.01, status="cut_by_field_of_view", confidence=0.5),
        "SpinalCord": OrganRow(label=3, tier="anchor", volume_ml=0.0, status="not_found", confidence=None),
        "Pineal": OrganRow(label=1, tier="small_hard", volume_ml=0.08, status="low_confidence", confidence=0.2),
    }
