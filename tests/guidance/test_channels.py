"""Out-of-fold guidance and VOI crops: what training sees is what prediction computes."""

import itertools
import shutil
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import OPTIONS
from nnunetv2.experiment_planning import verify_dataset_integrity
from scipy import ndimage

from soars_nnunet.cascade.case_names import is_jittered
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, GUIDANCE_FACTS, TARGET_FACTS, UNANNOTATED, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels, write_channels
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.geometry.heatmaps import gaussian_heatmaps
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.guidance import crops as crops
from soars_nnunet.guidance.channels import make_channels, write_guidance
from soars_nnunet.guidance.crops import detection_of_crops, write_crops
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.network_frame import AIR_HU, to_network_frame
from soars_nnunet.planning.plan import plan
from soars_nnunet.prediction.branch_model import BranchModel, guidance

CPU = torch.device("cpu")


def ignore(text):
    pass


def source_files(cascade):
    return training_cases(cascade.source, read_json(raw_folder() / cascade.source / "dataset.json"))


def test_stored_guidance_is_what_prediction_computes(untrained_cascade):
    """For every case and the fold that validates on it; the other fold's would differ."""
    cascade, files = untrained_cascade, source_files(untrained_cascade)
    anchors = [BranchModel(cascade.model("anchor", DEFAULT_PLANS), [fold], CPU) for fold in (0, 1)]
    seen = []
    for fold, split in enumerate(cascade.splits()):
        detection = BranchModel(cascade.model("detection", DEFAULT_PLANS), [fold], CPU)
        for case in split["val"]:
            ct, grid = anchors[fold].preprocess(*to_network_frame(read_ct(files[case][0])))
            own, other = (guidance(anchor, ct) for anchor in (anchors[fold], anchors[1 - fold]))
            stored = torch.from_numpy(read_channels(cascade.channels("anchor", DEFAULT_PLANS), case)).float()
            assert stored.shape == (9, *grid.shape)
            assert (own - stored).abs().max() < 1 / 255
            assert (other - stored).abs().max() > 0.1
            # nnU-Net sums windows in half precision, whose steps are coarse in the volume's corners
            exact, rounded = (guidance(detection, torch.cat((ct, anchor))) for anchor in (own, own.half().float()))
            stored = torch.from_numpy(read_channels(cascade.channels("detection", DEFAULT_PLANS), case)).float()
            assert (rounded - stored).abs().max() < 1 / 255
            assert np.quantile((exact - stored).abs(), 0.99) < 1 / 255
            assert stored.min() >= 0 and 0.3 < stored.max() <= 1
            seen.append(case)
    assert sorted(seen) == sorted(files)


@pytest.mark.parametrize("branch", ["mid_level", "detection"])
def test_guided_branches_train_on_the_ct_and_the_stored_channels(untrained_cascade, branch):
    cascade = untrained_cascade
    names = read_json(cascade.preprocessed(branch) / "dataset.json")["channel_names"]
    assert names == {"0": "CT", **{str(i): "noNorm" for i in range(1, 10)}}
    for case in source_files(cascade):
        data, _, properties = load_preprocessed(cascade.data(branch, DEFAULT_PLANS), case)
        ct, _, anchor_properties = load_preprocessed(cascade.data("anchor", DEFAULT_PLANS), case)
        stored = read_channels(cascade.channels("anchor", DEFAULT_PLANS), case)
        np.testing.assert_array_equal(data, np.concatenate((ct, stored.astype(np.float32))))
        key = "bbox_used_for_cropping"
        assert [list(side) for side in properties[key]] == [list(side) for side in anchor_properties[key]]


def test_another_split_is_refused(cascade_copy):
    path = cascade_copy.preprocessed("anchor") / "splits_final.json"
    splits = read_json(path)
    write_json(path, splits[::-1])
    with pytest.raises(MissingArtifactError, match="another split than .*splits_final.json"):
        make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    write_json(path, splits)
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, ignore)


@pytest.mark.parametrize(
    ("branch", "command"),
    [
        ("anchor", "nnUNetv2_train 71 3d_fullres 1 -tr SOARSAnchorTrainer"),
        ("detection", "nnUNetv2_train 73 3d_fullres 1 -tr SOARSDetectionTrainer"),
    ],
)
def test_missing_fold_is_named_with_its_command(cascade_copy, branch, command):
    (cascade_copy.model(branch, DEFAULT_PLANS) / "fold_1" / CHECKPOINT).unlink()
    with pytest.raises(MissingArtifactError) as refused:
        make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    assert "fold(s) [1]" in str(refused.value) and command in str(refused.value)


def test_rerun_keeps_finished_cases_and_mends_truncated_ones(cascade_copy):
    folder = cascade_copy.channels("anchor", DEFAULT_PLANS)
    files = sorted(folder.glob("*.b2nd"))
    content = {path: path.read_bytes() for path in files}
    times = {path: path.stat().st_mtime_ns for path in files}
    lines = []
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, lines.append)
    assert len(lines) == 4 and all(line.endswith("(kept)") for line in lines)
    assert times == {path: path.stat().st_mtime_ns for path in files}
    for path, kept in zip(files, (0, 20, 0.5, 0.98), strict=True):
        size = len(content[path])
        path.write_bytes(content[path][: int(kept * size) if kept < 1 else kept])
    lines.clear()
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, lines.append)
    assert not [line for line in lines if "kept" in line]
    assert content == {path: path.read_bytes() for path in files}


@pytest.mark.parametrize("fact", GUIDANCE_FACTS)
def test_guided_branches_are_not_planned_on_output_of_other_models_cases_or_versions(cascade_copy, fact):
    path = cascade_copy.channels("anchor", DEFAULT_PLANS) / "provenance.json"
    plan(cascade_copy, OPTIONS, ["mid_level"])
    write_json(path, {**read_json(path), fact: "another", "tiling": {"step_size": 0.25, "everywhere": True}})
    with pytest.raises(
        MissingArtifactError, match="rerun: soars-channels -d Dataset007_Tiny --tiling everywhere --step"
    ):
        plan(cascade_copy, OPTIONS, ["mid_level"])
    path = cascade_copy.channels("detection", DEFAULT_PLANS) / "provenance.json"
    before = detection_of_crops(cascade_copy, DEFAULT_PLANS)
    write_json(path, {**read_json(path), fact: "another"})
    assert detection_of_crops(cascade_copy, DEFAULT_PLANS) != before


def test_new_weights_make_new_channels(cascade_copy):
    folder = cascade_copy.model("anchor", DEFAULT_PLANS)
    (folder / "fold_1" / CHECKPOINT).write_bytes((folder / "fold_0" / CHECKPOINT).read_bytes())
    lines = []
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, lines.append)
    assert not [line for line in lines if "kept" in line]


@pytest.mark.parametrize("order", [("in-sample", "anchor"), ("anchor", "in-sample")])
def test_in_sample_channels_are_of_the_model_that_trained_on_the_case(cascade_copy, order):
    for in_sample in (False, True):
        make_channels(cascade_copy, DEFAULT_PLANS, CPU, in_sample=in_sample)
    for guidance_kind in order:  # one must not take the other's files for its own
        variant = replace(OPTIONS, guidance=guidance_kind, plans_name=guidance_kind)
        assert plan(cascade_copy, variant, ["mid_level"]) == ["mid_level"]
    for fold, split in enumerate(cascade_copy.splits()):
        model = BranchModel(cascade_copy.model("anchor", DEFAULT_PLANS), [fold], CPU)
        for guidance_kind, side in (("in-sample", "train"), ("anchor", "val")):  # of two folds: the other's validation
            for case in split[side]:
                ct, _, _ = load_preprocessed(cascade_copy.data("anchor", DEFAULT_PLANS), case)
                data, _, _ = load_preprocessed(cascade_copy.data("mid_level", guidance_kind), case)
                torch.testing.assert_close(
                    torch.from_numpy(data[1:]), guidance(model, torch.from_numpy(ct)).half().float()
                )
    settings = [PlansFile.read(cascade_copy.plans("mid_level", name)).configuration["soars"] for name in order]
    assert [settings[order.index(name)].get("in_sample") for name in ("in-sample", "anchor")] == [True, None]


def test_in_sample_plans_wait_for_in_sample_channels(cascade_copy):
    lines = []
    with pytest.raises(InputError, match="no branch could be planned"):
        plan(cascade_copy, replace(OPTIONS, guidance="in-sample", plans_name="InSample"), ["mid_level"], lines.append)
    assert "soars-channels --in-sample" in lines[0]


def test_raw_channels_make_a_complete_nnunet_dataset(cascade_copy, monkeypatch):
    threaded = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(verify_dataset_integrity, "multiprocessing", threaded)
    make_channels(cascade_copy, DEFAULT_PLANS, CPU, raw=True)
    files = source_files(cascade_copy)
    for branch in ("mid_level", "detection"):
        folder = cascade_copy.raw(branch)
        verify_dataset_integrity.verify_dataset_integrity(str(folder), 1)
        dataset_json = read_json(folder / "dataset.json")
        assert dataset_json["numTraining"] == len(dataset_json["dataset"]) == 4
        assert len(dataset_json["channel_names"]) == 10
        for case, entry in dataset_json["dataset"].items():
            paths = [path.replace("$nnUNet_raw", str(raw_folder())) for path in entry["images"]]
            assert len(paths) == 10
            ct = sitk.ReadImage(str(files[case][0]))
            for path in paths[1:]:
                channel = sitk.ReadImage(path)
                assert channel.GetSize() == ct.GetSize()
                for what in ("Spacing", "Origin", "Direction"):
                    np.testing.assert_allclose(getattr(channel, f"Get{what}")(), getattr(ct, f"Get{what}")(), atol=1e-4)
    stored = read_channels(cascade_copy.channels("anchor", DEFAULT_PLANS), "phantom_001").astype(np.float32)
    entry = read_json(cascade_copy.raw("mid_level") / "dataset.json")["dataset"]["phantom_001"]
    for channel, path in zip(stored, entry["images"][1:], strict=True):
        written = to_network_frame(sitk.ReadImage(path.replace("$nnUNet_raw", str(raw_folder()))))[0][0]
        full = torch.nn.functional.interpolate(
            torch.from_numpy(channel)[None, None], size=written.shape, mode="trilinear", align_corners=False
        )
        np.testing.assert_allclose(written, full[0, 0].numpy(), atol=1e-5)


def crop_points(image, source):
    """Continuous (x, y, z) indices in ``source`` of every voxel of ``image``, (x, y, z, 3)."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in image.GetSize()), indexing="ij"), -1)
    direction, onto = (np.reshape(i.GetDirection(), (3, 3)) for i in (image, source))
    points = (grid * image.GetSpacing()) @ direction.T + image.GetOrigin()
    return (points - source.GetOrigin()) @ onto / source.GetSpacing()


def at(array, index, outside):
    inside = np.all((index >= 0) & (index < array.shape), axis=-1)
    clipped = np.clip(index, 0, np.array(array.shape) - 1)
    return np.where(inside, array[tuple(np.moveaxis(clipped, -1, 0))], outside), inside


def xyz(image):
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0)


def check_crops(cascade):
    """Every crop's CT, labels and heat maps against its source at the same physical points."""
    folder, files = cascade.raw("small_hard"), source_files(cascade)
    dataset_json = read_json(folder / "dataset.json")
    translate = np.zeros(43, int)
    for name, value in dataset_json["labels"].items():
        translate[cascade.labels.get(name, 0)] = value
    crops = sorted(path.name.removesuffix(".nii.gz") for path in (folder / "labelsTr").iterdir())
    assert dataset_json["numTraining"] == len(crops) > 30
    reached_outside = 0
    for crop in crops:
        case, _, target = crop.rpartition("__")
        ct, labels = (sitk.ReadImage(str(path)) for path in files[case])
        images = [sitk.ReadImage(str(folder / "imagesTr" / f"{crop}_{i:04d}.nii.gz")) for i in range(11)]
        truth = sitk.ReadImage(str(folder / "labelsTr" / f"{crop}.nii.gz"))
        points = crop_points(images[0], ct)
        index = np.round(points).astype(int)
        assert np.abs(points - index).max() < 1e-3, "crops lie on the CT's grid"
        expected, inside = at(np.maximum(xyz(ct), AIR_HU), index, AIR_HU)
        np.testing.assert_array_equal(xyz(images[0]), expected)
        expected, _ = at(translate[xyz(labels)], index, 0)
        np.testing.assert_array_equal(xyz(truth), expected)
        reached_outside += not inside.all()

        oriented = sitk.DICOMOrient(ct, "RAS")
        heatmaps = read_channels(cascade.channels("detection", DEFAULT_PLANS), case).astype(np.float32)
        _, _, properties = load_preprocessed(cascade.data("detection", DEFAULT_PLANS), case)
        lows, highs = np.array(properties["bbox_used_for_cropping"]).T
        voxel = crop_points(images[0], oriented)[..., ::-1]
        covered = np.all((voxel > lows - 0.5) & (voxel < highs - 0.5), axis=-1)
        on_network = (voxel - lows + 0.5) * heatmaps.shape[1:] / (highs - lows) - 0.5
        for heatmap, image in zip(heatmaps, images[1:], strict=True):
            expected = ndimage.map_coordinates(heatmap, np.moveaxis(on_network, -1, 0), order=1, mode="nearest")
            np.testing.assert_allclose(xyz(image), np.where(covered, expected, 0), atol=1e-4)
    return crops, reached_outside


def test_crops_show_their_source(untrained_cascade):
    check_crops(untrained_cascade)


def test_crops_that_reach_outside_the_scan_are_padded_with_air(cascade_copy, monkeypatch):
    monkeypatch.setattr(crops, "voi_size_mm", lambda extents: np.full((extents.shape[1], 3), 150.0))
    write_crops(cascade_copy, DEFAULT_PLANS, ignore, jittered=0)
    _, reached_outside = check_crops(cascade_copy)
    assert reached_outside > 10


def test_crops_of_another_detection_are_refused(cascade_copy):
    """A dataset has one set of crops, which a variant's detection may have replaced."""
    for path in (cascade_copy.plans("detection", DEFAULT_PLANS), cascade_copy.model("detection", DEFAULT_PLANS)):
        other = path.with_name(path.name.replace(DEFAULT_PLANS, "Other"))
        shutil.copytree(path, other) if path.is_dir() else write_json(other, read_json(path))
    preprocessed = cascade_copy.data("detection", DEFAULT_PLANS)
    shutil.copytree(preprocessed, preprocessed.with_name(preprocessed.name.replace(DEFAULT_PLANS, "Other")))
    folder = cascade_copy.model("detection", "Other")
    (folder / "fold_1" / CHECKPOINT).write_bytes((folder / "fold_0" / CHECKPOINT).read_bytes())
    make_channels(cascade_copy, "Other", CPU)
    with pytest.raises(MissingArtifactError, match="made by another detection than that of nnUNetPlans") as error:
        plan(cascade_copy, OPTIONS, ["small_hard"])
    assert str(error.value).endswith(f"rerun: soars-channels -d {cascade_copy.source}")
    make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    assert plan(cascade_copy, OPTIONS, ["small_hard"]) == ["small_hard"]


def test_sides_share_the_larger_voi_and_the_lower_threshold(detecting_cascade):
    sizes = np.arange(1, 3 * len(detecting_cascade.profile.targets) + 1).reshape(-1, 3) + 30.0
    own, summary = {}, crops._summary
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crops, "voi_size_mm", lambda extents: sizes)
        patch.setattr(crops, "_summary", lambda *of: own.setdefault(len(own), summary(*of)).copy())
        write_crops(detecting_cascade, DEFAULT_PLANS, ignore)
    facts = read_json(detecting_cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    rows = dict(zip(facts, sizes.tolist(), strict=True))
    assert facts["Ear_L"]["size_mm"] == facts["Ear_R"]["size_mm"] == max(rows["Ear_L"], rows["Ear_R"])
    assert facts["Pituitary"]["size_mm"] == rows["Pituitary"]
    lowest = {name: row["low_confidence_below"] for name, row in zip(facts, own.values(), strict=True)}
    assert lowest["Ear_L"] != lowest["Ear_R"]
    for side in ("Ear_L", "Ear_R"):
        assert facts[side]["low_confidence_below"] == min(lowest["Ear_L"], lowest["Ear_R"])


def test_crop_splits_are_by_patient(untrained_cascade):
    splits = untrained_cascade.splits("small_hard")
    crops = [path.name.removesuffix(".nii.gz") for path in (untrained_cascade.raw("small_hard") / "labelsTr").iterdir()]
    for split, patients in zip(splits, untrained_cascade.splits("anchor"), strict=True):
        for side in ("train", "val"):
            assert {crop.rpartition("__")[0] for crop in split[side]} == set(patients[side])
        assert not set(split["train"]) & set(split["val"])
        assert sorted(split["train"] + split["val"]) == sorted(crops)
    assert sorted(itertools.chain(*(split["val"] for split in splits))) == sorted(crops)


def true_heatmaps(cascade, case, label):
    """Gaussians at the organs' centres, drawn on the detection network's grid."""
    labels, properties = to_network_frame(read_label_map(label))
    members = [[cascade.labels[organ.name] for organ in organs] for organs in cascade.profile.targets.values()]
    centers_mm = organ_centers_mm(labels[0].astype(np.int32), members, properties["spacing"])
    data, _, stored = load_preprocessed(cascade.data("detection", DEFAULT_PLANS), case)
    lows, highs = np.array(stored["bbox_used_for_cropping"]).T
    voxels = np.moveaxis(np.indices(data.shape[1:]), 0, -1)
    grid_mm = ((voxels + 0.5) * (highs - lows) / data.shape[1:] - 0.5 + lows) * properties["spacing"]
    grid = torch.from_numpy(np.moveaxis(grid_mm, -1, 0).astype(np.float32))
    return gaussian_heatmaps(grid[None], torch.from_numpy(centers_mm)[None], 8.0)[0].numpy()


def test_misses_do_not_lower_what_a_peak_must_reach():
    def facts(height, missed=False):
        return {"height": height, "error_mm": np.zeros(3), "missed": missed}

    good = [facts(height) for height in np.linspace(0.7, 0.95, 26)]
    assert crops._summary(good, np.ones(3))["low_confidence_below"] == pytest.approx(0.7025)
    summary = crops._summary([*good, facts(0.03, missed=True)], np.ones(3))
    assert summary["low_confidence_below"] == pytest.approx(0.7025)
    assert (summary["missed"], summary["cases"]) == (1, 27)
    # without a good one there is nothing else to go by
    assert crops._summary([facts(0.2, True), facts(0.2, True)], np.ones(3))["low_confidence_below"] == 0.2


def test_crops_are_centred_at_good_peaks_and_at_the_truth_where_peaks_miss(cascade_copy):
    """Most untrained peaks miss; with true heat maps none does, and the crop's middle is the organ's."""
    cascade = cascade_copy
    facts = read_json(cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    assert sum(row["missed"] for row in facts.values()) > 0.8 * sum(row["cases"] for row in facts.values())
    for case, (_, label) in source_files(cascade).items():
        write_channels(cascade.channels("detection", DEFAULT_PLANS), case, true_heatmaps(cascade, case, label))
    write_crops(cascade, DEFAULT_PLANS, ignore, jittered=0)
    facts = read_json(cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    assert sum(row["missed"] for row in facts.values()) == 0, facts
    assert max(row["mean_error_mm"] for row in facts.values()) < 4
    crops, _ = check_crops(cascade)
    values = read_json(cascade.raw("small_hard") / "dataset.json")["labels"]
    wholes = {case: xyz(read_label_map(label)) for case, (_, label) in source_files(cascade).items()}
    complete = 0
    for crop in crops:
        case, _, target = crop.rpartition("__")
        labels = xyz(sitk.ReadImage(str(cascade.raw("small_hard") / "labelsTr" / f"{crop}.nii.gz")))
        names = [organ.name for organ in cascade.profile.targets[target]]
        voxels = np.isin(labels, [values[name] for name in names]).sum()
        complete += voxels == np.isin(wholes[case], [cascade.labels[name] for name in names]).sum()
    assert complete >= 0.9 * len(crops)


@pytest.fixture
def detecting_cascade(cascade_copy):
    """Detection that is 6 mm off to the head in the first case, else right."""
    for index, (case, (_, label)) in enumerate(source_files(cascade_copy).items()):
        heatmaps = true_heatmaps(cascade_copy, case, label)
        if index == 0:
            heatmaps = np.roll(heatmaps, 1, axis=1)
        write_channels(cascade_copy.channels("detection", DEFAULT_PLANS), case, heatmaps)
    return cascade_copy


def centre_mm(path):
    """Physical centre (z, y, x) of a crop."""
    image = sitk.ReadImage(str(path))
    middle = [(size - 1) / 2 for size in image.GetSize()]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(middle))[::-1]


def test_jittered_crops_are_as_far_off_as_detections_of_the_fold_and_train_alone(detecting_cascade):
    cascade = detecting_cascade
    write_crops(cascade, DEFAULT_PLANS, ignore, jittered=2)
    folder = cascade.raw("small_hard") / "labelsTr"
    crops = sorted(path.name.removesuffix(".nii.gz") for path in folder.iterdir())
    plain = [crop for crop in crops if not is_jittered(crop)]
    assert len(crops) == 3 * len(plain)
    write_crops(cascade, DEFAULT_PLANS, ignore)
    assert sorted(path.name.removesuffix(".nii.gz") for path in folder.iterdir()) == crops, "their number is remembered"
    for split in cascade.splits("small_hard"):
        assert sorted(split["val"] + [crop for crop in split["train"] if not is_jittered(crop)]) == plain
        assert any(is_jittered(crop) for crop in split["train"])
    first, *others = source_files(cascade)
    spacing = 9.0  # of the detection network along Z: how far its first case is off
    shifts, sideways = ({case: [] for case in (first, *others)} for _ in range(2))
    for crop in set(crops) - set(plain):
        case, _, target = crop.partition("-jitter")[0].rpartition("__")
        shift = centre_mm(folder / f"{crop}.nii.gz") - centre_mm(folder / f"{case}__{target}.nii.gz")
        shifts[case].append(shift[0])
        sideways[case].append(shift)
        images = cascade.raw("small_hard") / "imagesTr"
        row = 1 + list(cascade.profile.targets).index(target)
        moved, at_peak = (
            xyz(sitk.ReadImage(str(images / f"{n}_{row:04d}.nii.gz"))) for n in (crop, f"{case}__{target}")
        )
        # a box round a tie has one voxel more
        common = tuple(slice(min(sizes)) for sizes in zip(moved.shape, at_peak.shape, strict=True))
        np.testing.assert_allclose(moved[common], at_peak[common], atol=1e-4)
    # the trained model is of the same patients, whatever further crops there are
    before = cascade.split_hash("small_hard")
    write_crops(cascade, DEFAULT_PLANS, ignore, jittered=0)
    assert cascade.split_hash("small_hard") == before
    assert np.mean(shifts[first]) < -0.5 * spacing, "its own detection was off, the others' were not"
    fold = next(split["val"] for split in cascade.splits("detection") if first in split["val"])
    ours = np.array([shift for case in others if case in fold for shift in sideways[case]])
    assert (ours.max(axis=0) > 0.4 * spacing).all() and (ours.min(axis=0) < -0.4 * spacing).all(), "in any direction"
    far = {case: np.abs(shifts[case]).max() > spacing for case in others}
    assert far == {case: case in fold for case in others}, "its error is that of its fold's others, of no other fold's"


def test_a_target_with_an_undrawn_organ_keeps_a_crop_for_the_drawn_one(detecting_cascade):
    cascade = detecting_cascade
    record = Cascade.path(cascade.source)
    case = list(source_files(cascade))[1]
    write_json(record, {**read_json(record), "unannotated": {case: ["Cochlea_L"]}})
    write_crops(cascade, DEFAULT_PLANS, ignore)
    values = read_json(cascade.raw("small_hard") / "dataset.json")["labels"]
    labels = xyz(sitk.ReadImage(str(cascade.raw("small_hard") / "labelsTr" / f"{case}__Ear_L.nii.gz")))
    assert (labels == values["Ear_Internal_L"]).any() and not (labels == values["Cochlea_L"]).any()
    open_crops = read_json(cascade.preprocessed("small_hard") / UNANNOTATED)
    assert open_crops[f"{case}__Ear_L"] == ["Cochlea_L"]
    facts = read_json(cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    assert facts["Ear_L"]["cases"] == facts["Ear_R"]["cases"] - 1
