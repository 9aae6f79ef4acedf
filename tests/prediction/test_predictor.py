"""Cascade prediction of one CT, in every orientation, and what its report says."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from prediction.cases import ct_of

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.images.network_frame import from_network_frame, to_network_frame
from soars_nnunet.prediction import predictor as predictor_module
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor


def test_a_mirrored_patient_has_the_mirrored_labels_with_sides_swapped(untrained_cascade, image):
    predictor = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(mirror=True))
    swapped = sitk.GetImageFromArray(np.flip(sitk.GetArrayFromImage(image), 2))
    swapped.CopyInformation(image)
    (labels, report), (others, mirrored) = (predictor.predict(ct) for ct in (image, swapped))
    names = {organ.label: organ.name for organ in predictor.profile.organs}
    partner = {label: predictor.profile.by_name[name].mirror or name for label, name in names.items()}
    lookup = np.arange(max(names) + 1)
    lookup[list(names)] = [predictor.profile.by_name[partner[label]].label for label in names]
    expected = np.flip(lookup[sitk.GetArrayFromImage(labels)], 2)
    found = sitk.GetArrayFromImage(others)
    assert (found != expected).sum() <= 1e-4 * (expected > 0).sum()
    assert {organ for organ in np.unique(expected) if names.get(organ, "").startswith("Cochlea")}


def orientations():
    for order in itertools.permutations(range(3)):
        for flip in itertools.product((False, True), repeat=3):
            yield order, flip


def turned(image, order, flip):
    return sitk.Flip(sitk.PermuteAxes(image, order), flip)


def check_geometry(labels, image):
    assert labels.GetSize() == image.GetSize()
    np.testing.assert_allclose(labels.GetSpacing(), image.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(labels.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(labels.GetDirection(), image.GetDirection(), atol=1e-6)


def back(labels, order, flip):
    """Undo ``turned`` on the array alone."""
    flipped = sitk.Flip(labels, flip)
    return sitk.GetArrayFromImage(sitk.PermuteAxes(flipped, [order.index(axis) for axis in range(3)]))


def test_all_orientations_are_one_image_in_the_network_frame(image, prediction):
    expected, _ = to_network_frame(image)
    labels = sitk.GetArrayFromImage(prediction[0])
    in_frame = to_network_frame(prediction[0])[0][0].astype(np.uint8)
    determinants = set()
    for order, flip in orientations():
        other = turned(image, order, flip)
        determinants.add(round(np.linalg.det(np.reshape(other.GetDirection(), (3, 3)))))
        ct_hu, properties = to_network_frame(other)
        np.testing.assert_array_equal(ct_hu, expected)
        np.testing.assert_allclose(properties["spacing"], image.GetSpacing()[::-1])
        result = from_network_frame(in_frame, other)
        check_geometry(result, other)
        np.testing.assert_array_equal(back(result, order, flip), labels)
    assert determinants == {1, -1}


@pytest.mark.parametrize(("order", "flip"), list(orientations())[3::9])
def test_full_prediction_does_not_depend_on_the_orientation(predictor, image, prediction, order, flip):
    other = turned(image, order, flip)
    labels, report = predictor.predict(other, "somebody")
    check_geometry(labels, other)
    np.testing.assert_array_equal(back(labels, order, flip), sitk.GetArrayFromImage(prediction[0]))
    # the same points of the patient, whatever the voxel order
    assert report["targets"] == prediction[1]["targets"]
    assert report["organs"] == prediction[1]["organs"]
    size = other.GetSize()
    for index in np.random.default_rng(0).integers(0, size, (50, 3)).tolist():
        point = other.TransformIndexToPhysicalPoint(index)
        assert labels[index] == prediction[0][image.TransformPhysicalPointToIndex(point)]


def test_oblique_scan_gives_the_same_anatomy(predictor, image, prediction):
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.2, -0.15, 0.1)
    direction = np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(image.GetDirection(), (3, 3))
    oblique = sitk.Image(image)
    oblique.SetDirection(direction.ravel().tolist())
    oblique.SetOrigin((11.25, -37.5, 812.0625))
    labels, report = predictor.predict(oblique, "somebody")
    check_geometry(labels, oblique)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(prediction[0]))
    for target, row in report["targets"].items():
        index = oblique.TransformPhysicalPointToContinuousIndex(row["center_mm"])
        straight = image.TransformPhysicalPointToContinuousIndex(prediction[1]["targets"][target]["center_mm"])
        np.testing.assert_allclose(index, straight, atol=0.01)


def test_labels_are_the_profiles_and_the_input_is_left_alone(predictor, untrained_cascade):
    image = ct_of(untrained_cascade, 5)
    before, geometry = sitk.GetArrayFromImage(image), (image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    image.SetMetaData("note", "kept")
    labels, report = predictor.predict(image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), before)
    assert geometry == (image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    assert image.GetMetaData("note") == "kept"
    assert labels.GetPixelID() == sitk.sitkUInt8
    expected = {"background": 0, **{organ.name: organ.label for organ in untrained_cascade.profile.organs}}
    assert predictor.labels == report["labels"] == expected
    assert set(np.unique(sitk.GetArrayFromImage(labels))) <= set(expected.values())


def with_thresholds(cascade, change):
    """Predictor of the cascade, whose manifest gets other peak thresholds."""
    path = cascade.manifest(DEFAULT_PLANS)
    manifest = read_json(path)
    for target, facts in manifest["targets"].items():
        facts["low_confidence_below"] = change(target)
    write_json(path, manifest)
    return CascadePredictor(path)


def test_statuses_follow_the_peaks(image, prediction, cascade_copy):
    peaks = {target: row["peak"] for target, row in prediction[1]["targets"].items()}
    at_border = {t for t, row in prediction[1]["targets"].items() if row["status"] == "cut_by_field_of_view"}
    assert len(at_border) < len(peaks)
    expectations = (
        (lambda target: 0.9 * peaks[target], "found"),
        (lambda target: 1.1 * peaks[target], "low_confidence"),
        (lambda target: 2.1 * peaks[target], "not_found"),
    )
    for change, expected in expectations:
        labels, report = with_thresholds(cascade_copy, change).predict(image)
        statuses = {target: row["status"] for target, row in report["targets"].items()}
        cut = at_border if expected != "not_found" else set()
        assert statuses == {t: "cut_by_field_of_view" if t in cut else expected for t in peaks}
        small = [row for row in report["organs"].values() if row["tier"] == "small_hard"]
        if expected == "not_found":
            assert all(row["status"] in ("not_found", "absent") and row["volume_ml"] == 0 for row in small)
            assert sitk.GetArrayFromImage(labels).max() <= 30
        else:
            assert expected in {row["status"] for row in small}


def test_a_case_that_does_not_fit_a_gpu_is_held_on_the_cpu(untrained_cascade, image, prediction, monkeypatch):
    predictor = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS))
    run, tried = predictor_module.run_branches, []

    def small_gpu(scan, models, *arguments):
        tried.append({model.results.type for model in models.values()})
        if tried[-1] != {"cpu"}:
            raise torch.OutOfMemoryError("too small")
        return run(scan, models, *arguments)

    monkeypatch.setattr(predictor_module, "run_branches", small_gpu)
    predictor.device = torch.device("mps")
    for model in predictor.models.values():
        model.results = torch.device("mps")
    labels, _ = predictor.predict(image, "somebody")
    assert tried == [{"mps"}, {"cpu"}]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(prediction[0]))
    assert {model.results.type for model in predictor.models.values()} == {"mps"}


@pytest.mark.parametrize(("name", "warned"), [("phantom_000", True), ("phantom_003", True), ("phantom_004", False)])
def test_training_cases_are_warned_of(predictor, image, name, warned):
    _, report = predictor.predict(image, name)
    known = [warning for warning in report["warnings"] if "training patient" in warning]
    assert [name in warning for warning in known] == [True] * warned


def test_an_unusable_image_is_refused(predictor, image):
    with pytest.raises(InputError, match="somebody: expected a CT in HU"):
        predictor.predict(sitk.Cast(image, sitk.sitkFloat32) * 0 + 1, "somebody")
