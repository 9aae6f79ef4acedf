import json

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.evaluation.case_volumes import CaseVolumes
from soars_nnunet.evaluation.centers import reported_centers_mm, score_targets
from soars_nnunet.evaluation.evaluate import evaluate_folders
from soars_nnunet.profile import load_profile

SHAPE, SPACING = (10, 12, 14), (3.0, 1.0, 0.5)


@pytest.fixture(scope="module")
def profile():
    return load_profile("hn42")


def volume(profile, **starts):
    """Boxes of 2 x 2 x 2 voxels by organ."""
    labels = np.zeros(SHAPE, np.uint8)
    for name, (z, y, x) in starts.items():
        labels[z : z + 2, y : y + 2, x : x + 2] = profile.by_name[name].label
    return labels


def by_target(scores):
    return {score.target: score for score in scores}


def test_distance_of_centres_of_mass(profile):
    reference = volume(profile, Pineal=(2, 3, 4), Pituitary=(6, 6, 6))
    prediction = volume(profile, Pineal=(3, 5, 8))
    scores = by_target(score_targets(CaseVolumes("a", prediction, reference, SPACING), profile))
    assert len(scores) == 10
    assert scores["Pineal"].distance_mm == pytest.approx(np.linalg.norm([3.0, 2.0, 2.0]))
    assert (scores["Pituitary"].status, scores["Pituitary"].distance_mm) == ("missed", None)
    assert (scores["OpticChiasm"].status, scores["OpticChiasm"].distance_mm) == ("not_in_reference", None)


def test_a_target_of_two_organs_needs_both_in_the_reference(profile):
    ear = volume(profile, Ear_Internal_L=(2, 2, 2), Ear_Internal_R=(2, 2, 8))
    both = ear | volume(profile, Cochlea_L=(4, 4, 4))
    found = volume(profile, Cochlea_L=(2, 2, 2))
    scores = by_target(score_targets(CaseVolumes("a", found, both, SPACING), profile))
    left, right = (profile.by_name[f"Cochlea_{side}"].target for side in "LR")
    assert scores[right].status == "not_in_reference"  # its cochlea was not drawn
    assert scores[left].distance_mm == pytest.approx(np.linalg.norm([3.0, 1.0, 0.5]))  # of ear and cochlea together
    not_annotated = CaseVolumes("a", found, both, SPACING, not_annotated=["Cochlea_L"])
    assert by_target(score_targets(not_annotated, profile))[left].status == "not_in_reference"


def test_detected_centres_come_from_the_report(profile, tmp_path):
    image = sitk.GetImageFromArray(volume(profile, Pineal=(2, 3, 4), Pituitary=(6, 6, 6)))
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((-20.0, 7.0, 100.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    true_mm = image.TransformContinuousIndexToPhysicalPoint((4.5, 3.5, 2.5))
    targets = {
        "Pineal": {"center_mm": (np.array(true_mm) + [1.0, 2.0, 2.0]).tolist(), "status": "found", "peak": 0.9},
        "Pituitary": {"center_mm": [0.0, 0.0, 0.0], "status": "absent", "peak": 0.1},
    }
    for folder in ("prediction", "reference"):
        (tmp_path / folder).mkdir()
        sitk.WriteImage(image, str(tmp_path / folder / "a.nii.gz"))
    (tmp_path / "prediction" / "a.json").write_text(json.dumps({"targets": targets}))
    evaluation = evaluate_folders(tmp_path / "prediction", tmp_path / "reference", profile)
    scores = by_target(evaluation.targets)
    assert scores["Pineal"].detected_mm == pytest.approx(3.0, abs=1e-4) and scores["Pineal"].distance_mm == 0.0
    assert scores["Pituitary"].detected_mm is None and scores["Pituitary"].status == "scored"
    rows = evaluation.per_target()
    assert (rows["Pineal"]["detected_mm"].n, rows["Pituitary"]["detected_mm"].n) == (1, 0)
    assert rows["Average"]["distance_mm"].n == 2 and rows["Average"]["distance_mm"].mean == 0.0


FOUND = '{"targets": {"Pineal": {"status": "found", "center_mm": %s}}}'
OTHERS = ("", "[]", '{"targets": 3}', '{"targets": {"Pineal": {"center_mm": "x"}}}', "{}", "[" * 10_000)


@pytest.mark.parametrize("text", [*OTHERS, FOUND % "[1, 2]", FOUND % "[1, 2, NaN]", FOUND % "[1, 2, 3, 4]"])
def test_other_json_files_beside_a_prediction_are_no_reports(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    assert reported_centers_mm(tmp_path / "a.json", sitk.Image(4, 4, 4, sitk.sitkUInt8)) == {}


def test_profiles_without_targets():
    labels = np.ones(SHAPE, np.uint8)
    assert score_targets(CaseVolumes("a", labels, labels, SPACING), load_profile("openkbp7")) == []
