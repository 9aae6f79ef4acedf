"""Cascade prediction against brute force, in every orientation, and what its report says."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import OPTIONS, write_weights
from torch.nn import functional

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS, MANIFEST
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.geometry.sides import separate_sides
from soars_nnunet.geometry.stitch import Candidate
from soars_nnunet.geometry.voi import crop_box
from soars_nnunet.guidance.channels import make_channels
from soars_nnunet.images.network_frame import AIR_HU, Scan, from_network_frame, to_network_frame
from soars_nnunet.planning.plan import plan
from soars_nnunet.prediction import predictor as predictor_module
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.report import organ_rows

MARGIN = 1e-4


@pytest.fixture(scope="module")
def predictor(untrained_cascade):
    return CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS))


def ct_of(cascade, index=4):
    return sitk.ReadImage(str(raw_folder() / cascade.source / "imagesTs" / f"phantom_{index:03d}_0000.nii.gz"))


@pytest.fixture(scope="module")
def image(untrained_cascade):
    return ct_of(untrained_cascade)


@pytest.fixture(scope="module")
def prediction(predictor, image):
    return predictor.predict(image, "somebody")


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


def full_size(softmax):
    """Winning channel, its probability and its lead over the second, on the whole image."""
    grid, values = softmax.grid, softmax.values[None].double()
    full = functional.interpolate(values, size=grid.crop_shape, mode="trilinear", align_corners=False)[0]
    best, second = full.topk(2, dim=0)[0]
    arrays = []
    for values, outside in ((full.argmax(0), 0), (best, 1.0), (best - second, 1.0)):
        array = np.full(grid.image_shape, outside, float)
        array[tuple(slice(lo, hi) for lo, hi in grid.crop)] = values.numpy()
        arrays.append(array)
    return arrays


def brute_force(predictor, inference, shape):
    """Label volume by definition, and where it is decided by more than rounding."""
    organs = predictor.profile.by_name
    labels, probability, rank = np.zeros(shape, int), np.zeros(shape), np.full(shape, -1)
    clear = np.ones(shape, bool)
    proposals = []
    for branch, softmax in inference.tiers.items():
        classes = predictor.manifest.branches[branch].classes
        proposals.append((softmax, [organs[name] for name in classes], (0, 0, 0)))
    for voi in inference.vois:
        classes = predictor.manifest.branches["small_hard"].classes
        own = [organs[name] if organs[name].target == voi.target else None for name in classes]
        proposals.append((voi.softmax, own, tuple(lo for lo, _ in voi.box)))
    for softmax, classes, offset in proposals:
        channel, best, lead = full_size(softmax)
        for index in np.ndindex(*channel.shape):
            voxel = tuple(i + o for i, o in zip(index, offset, strict=True))
            if not all(0 <= v < n for v, n in zip(voxel, shape, strict=True)):
                continue
            clear[voxel] &= lead[index] > MARGIN
            organ = classes[int(channel[index]) - 1] if channel[index] else None
            if organ is None:
                continue
            if organ.precedence == rank[voxel]:
                clear[voxel] &= abs(best[index] - probability[voxel]) > MARGIN
            if (organ.precedence, best[index]) > (rank[voxel], probability[voxel]):
                labels[voxel], probability[voxel], rank[voxel] = organ.label, best[index], organ.precedence
    return labels, clear


@pytest.mark.parametrize("index", [4, 5])
def test_stitched_volume_equals_brute_force(predictor, untrained_cascade, index):
    image = ct_of(untrained_cascade, index)
    inference = predictor.infer(Scan.of(image, "somebody"))
    assert len(inference.vois) >= 8
    expected, clear = brute_force(predictor, inference, inference.shape)
    labels = to_network_frame(predictor.predict(image)[0])[0][0]
    assert clear.mean() > 0.98 and len(np.unique(expected)) > 25
    np.testing.assert_array_equal(labels[clear], expected[clear])
    assert (labels == expected).mean() > 0.999


def test_heat_map_peaks_lie_where_the_report_says(predictor, image, prediction):
    inference = predictor.infer(Scan.of(image, "somebody"))
    heatmaps, grid = inference.heatmaps.values, inference.heatmaps.grid
    oriented = sitk.DICOMOrient(image, "RAS")
    for heatmap, (target, row) in zip(heatmaps, prediction[1]["targets"].items(), strict=True):
        center = oriented.TransformPhysicalPointToContinuousIndex(row["center_mm"])[::-1]
        voxel = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
        assert np.abs(grid.to_network(center) - voxel).max() <= 1.01, target
        assert row["peak"] == pytest.approx(float(heatmap.max()), abs=1e-3)


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
            expected = "absent"
        assert row["status"] == expected, organ.name
        if expected == "absent":
            assert row["confidence"] is None
        elif organ.target:
            assert row["confidence"] == report["targets"][organ.target]["peak"]
        else:
            assert 0.1 < row["confidence"] <= 1
    statuses = {row["status"] for row in report["organs"].values()}
    assert statuses >= {"found", "absent", "cut_by_field_of_view"}


def test_mean_probability_is_the_confidence_of_anchors(predictor, image, prediction):
    inference = predictor.infer(Scan.of(image, "somebody"))
    labels = to_network_frame(prediction[0])[0][0]
    channel, best, _ = full_size(inference.tiers["anchor"])
    for index, name in enumerate(predictor.manifest.branches["anchor"].classes, 1):
        mask = (labels == predictor.labels[name]) & (channel == index)
        if mask.any():
            assert prediction[1]["organs"][name]["confidence"] == pytest.approx(best[mask].mean(), abs=2e-3)


def with_thresholds(cascade, tmp_path, change):
    """Predictor with a manifest of other peak thresholds; the models stay where they are."""
    path = cascade.manifest(DEFAULT_PLANS)
    manifest = read_json(path)
    for branch in manifest["branches"].values():
        branch["model"] = str((path.parent / branch["model"]).resolve())
    for target, facts in manifest["targets"].items():
        facts["low_confidence_below"] = change(target)
    write_json(tmp_path / MANIFEST, manifest)
    return CascadePredictor(tmp_path)


def test_statuses_follow_the_peaks(untrained_cascade, tmp_path, image, prediction):
    peaks = {target: row["peak"] for target, row in prediction[1]["targets"].items()}
    at_border = {t for t, row in prediction[1]["targets"].items() if row["status"] == "cut_by_field_of_view"}
    assert len(at_border) < len(peaks)
    expectations = (
        (lambda target: 0.9 * peaks[target], "found"),
        (lambda target: 1.1 * peaks[target], "low_confidence"),
        (lambda target: 2.1 * peaks[target], "absent"),
    )
    for change, expected in expectations:
        labels, report = with_thresholds(untrained_cascade, tmp_path, change).predict(image)
        statuses = {target: row["status"] for target, row in report["targets"].items()}
        cut = at_border if expected != "absent" else set()
        assert statuses == {t: "cut_by_field_of_view" if t in cut else expected for t in peaks}
        small = [row for row in report["organs"].values() if row["tier"] == "small_hard"]
        if expected == "absent":
            assert all(row["status"] == "absent" and row["volume_ml"] == 0 for row in small)
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
        row = organ_rows(part, properties.spacing, [organ], {}, {organ.tier: tier})[organ.name]
        assert (row.status, row.confidence) == (expected, 0.75)
    _, report = predictor.predict(image[:, :, middle:], "cut")
    border = sitk.GetArrayFromImage(predictor.predict(image[:, :, middle:])[0])[0]
    touching = [o.name for o in predictor.profile.organs if (border == o.label).any()]
    assert touching and all(report["organs"][name]["status"] == "cut_by_field_of_view" for name in touching)


@pytest.mark.parametrize(("name", "warned"), [("phantom_000", True), ("phantom_003", True), ("phantom_004", False)])
def test_training_cases_are_warned_of(predictor, image, name, warned):
    _, report = predictor.predict(image, name)
    assert [name in warning and "training patient" in warning for warning in report["warnings"]] == [True] * warned


def test_folds_can_be_chosen(untrained_cascade, image, prediction):
    one = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[1]))
    labels, report = one.predict(image)
    assert {key: row["folds"] for key, row in report["models"].items()} == dict.fromkeys(one.models, [1])
    assert (sitk.GetArrayFromImage(labels) != sitk.GetArrayFromImage(prediction[0])).any()
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[7\] are not trained"):
        CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[7]))


def test_fast_takes_one_fold_and_large_tiles(untrained_cascade, predictor):
    fast = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(fast=True))
    assert {tuple(model.folds) for model in fast.models.values()} == {(0,)}
    assert all(model.tiling.large for model in fast.models.values())
    assert all(not model.tiling.large and len(model.folds) == 2 for model in predictor.models.values())
    both = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[0, 1], fast=True))
    assert all(model.tiling.large and len(model.folds) == 2 for model in both.models.values())


def test_guided_branches_must_share_the_anchors_ct_unit(cascade_copy):
    path = cascade_copy.model("mid_level", DEFAULT_PLANS) / "plans.json"
    plans = read_json(path)
    plans["foreground_intensity_properties_per_channel"]["0"]["std"] = 1500.0
    write_json(path, plans)
    with pytest.raises(MissingArtifactError, match="mid_level works at .* 1500 HU a unit, its anchors at .* 150 HU"):
        CascadePredictor(cascade_copy.manifest(DEFAULT_PLANS))


def test_branches_can_do_without_guidance(cascade_copy, predictor, image, prediction):
    options = replace(OPTIONS, guidance="none", plans_name="CTOnly")
    waiting = []
    assert plan(cascade_copy, options, progress=waiting.append) == ["anchor", "mid_level", "detection"]
    assert "SmallHard: waits for out-of-fold output of Detection" in "\n".join(waiting)
    cascade_copy.plans("anchor", "CTOnly").unlink()  # the default anchors will do
    case = cascade_copy.splits()[0]["val"][0]
    for branch in ("mid_level", "detection"):
        write_weights(cascade_copy, branch, "CTOnly")
        own, guided = (load_preprocessed(cascade_copy.data(branch, n), case)[0] for n in ("CTOnly", DEFAULT_PLANS))
        assert len(guided) > 1
        np.testing.assert_array_equal(own, guided[:1])
    make_channels(cascade_copy, "CTOnly", torch.device("cpu"))
    assert plan(cascade_copy, options, ["small_hard"]) == ["small_hard"]
    write_weights(cascade_copy, "small_hard", "CTOnly")
    crop = cascade_copy.splits("small_hard")[0]["val"][0]
    assert len(load_preprocessed(cascade_copy.data("small_hard", "CTOnly"), crop)[0]) == 1
    unguided = CascadePredictor(cascade_copy.manifest("CTOnly"))
    labels, report = unguided.predict(image)
    assert report["models"]["anchor"]["name"] == prediction[1]["models"]["anchor"]["name"]
    ct_hu, properties = to_network_frame(image)
    inference = unguided.infer(Scan.of(image, "somebody"))
    ct, _ = unguided.models["detection"].preprocess(ct_hu, properties)
    detection = unguided.models["detection"]
    heatmaps = separate_sides(detection.outputs(ct)[1:].clamp(0, 1), detection.sides(), detection.spacing_mm[2])
    torch.testing.assert_close(inference.heatmaps.values, heatmaps)
    torch.testing.assert_close(inference.tiers["mid_level"].values, unguided.models["mid_level"].probabilities(ct))
    for voi in inference.vois:
        crop, _ = unguided.models["small_hard"].preprocess(crop_box(ct_hu, voi.box, AIR_HU), properties)
        torch.testing.assert_close(voi.softmax.values, unguided.models["small_hard"].probabilities(crop))
    assert len(inference.vois) and len(np.unique(sitk.GetArrayFromImage(labels))) > 20


def test_an_unusable_image_is_refused(predictor, image):
    with pytest.raises(InputError, match="somebody: expected a CT in HU"):
        predictor.predict(sitk.Cast(image, sitk.sitkFloat32) * 0 + 1, "somebody")
