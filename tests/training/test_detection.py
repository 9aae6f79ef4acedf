from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from soars_nnunet.cascade.storage import write_json
from soars_nnunet.settings.branch_settings import MirrorOrder
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.detection import CoordinateDataset, SOARSDetectionTrainer, WithCoordinates
from soars_nnunet.training.transforms import patch_transforms

SPACING_MM = np.array([2.0, 1.5, 1.5])
SHAPE = (30, 32, 31)
PATCH = (20, 24, 22)
SIGMA_MM = 8.0
NUM_TARGETS = 3
SETTINGS = replace(load_regime("demo", "detection"), p_scaling=1.0, p_rotation=1.0, rotation_deg=25.0)
MIRROR = MirrorOrder(classes=(0, 2, 1, 3), channels=(1, 0, 2))
DATASET = "Dataset003_Neck_Detection"


def true_heatmaps(centers_mm, shape=SHAPE):
    """(T, Z, Y, X) from the definition, voxel by voxel."""
    positions = np.moveaxis(np.indices(shape), 0, -1) * SPACING_MM
    squared = ((positions[None] - np.asarray(centers_mm)[:, None, None, None]) ** 2).sum(-1)
    return np.exp(-squared / (2 * SIGMA_MM**2)).astype(np.float32)


def make_plans():
    settings = replace(
        load_regime("demo", "detection"),
        sigma_mm=SIGMA_MM,
        channel_names={"0": "CT"},
        p_rotation=1.0,
        rotation_deg=15.0,
        p_scaling=1.0,
    )
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(PATCH),
        "spacing": SPACING_MM.tolist(),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": True,
        "architecture": {
            "network_class_name": "soars_nnunet.networks.phnn.PHNN",
            "arch_kwargs": {
                "genotype": ["2D3", "3D3", "2D3", "3D3"],
                "features_per_stage": [2, 2, 4, 4],
                "n_convs_per_stage": [1, 1, 1, 1],
                "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2], [1, 1, 1]],
                "constant_background": 0.25,
            },
            "_kw_requires_import": [],
        },
        "soars": settings.to_json(),
    }
    return {
        "dataset_name": DATASET,
        "plans_name": "nnUNetPlans",
        "label_manager": "LabelManager",
        "configurations": {"3d_fullres": configuration},
        "continue_training": False,  # nnU-Net's run_training adds it
    }


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    monkeypatch.setenv("nnUNet_compile", "f")
    labels = {"background": 0, **{f"target{i}": i for i in range(1, NUM_TARGETS + 1)}}
    dataset_json = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    return SOARSDetectionTrainer(make_plans(), "3d_fullres", 0, dataset_json, torch.device("cpu"))


@pytest.mark.parametrize("classes", [None, (0, 2, 1, 3)], ids=["one side alone", "both sides"])
def test_nnunet_may_read_whatever_a_trainer_has(trainer, classes):
    """It does so when a training starts, for its debug.json; plans of one side, or stock ones, know no mirror order."""
    trainer.settings = replace(trainer.settings, mirror=MirrorOrder(classes=classes, channels=(0,)))
    Path(trainer.output_folder).mkdir(parents=True, exist_ok=True)
    trainer._save_debug_information()
    assert (Path(trainer.output_folder) / "debug.json").is_file()


def batch_of(trainer, data, key="case"):
    return trainer._with_targets({"data": data, "target": None, "keys": np.array([key])})


def augmented(channels, window, settings):
    """Channels (C, Z, Y, X) of a whole case, cut to a window and augmented: image with coordinates, (1, C + 4, ...)."""
    crop = WithCoordinates(channels, SPACING_MM)[(slice(None), *window)]
    transforms = patch_transforms(PATCH, None, settings, carry_coordinates=True)
    segmentation = torch.zeros((1, *crop.shape[1:]), dtype=torch.int16)
    return transforms(image=torch.from_numpy(crop), segmentation=segmentation)["image"][None]


WHOLE = (slice(0, 30), slice(0, 32), slice(0, 31))
SHIFTED = (slice(5, 29), slice(2, 30), slice(6, 31))
CENTERS = {
    "inside": [[30.0, 24.0, 22.5], [20.7, 31.3, 14.2], [40.0, 18.0, 30.0]],
    "outside": [[1.0, 24.0, 20.0], [30.0, 53.0, 22.0], [40.0, 38.0, -4.0]],
}


@pytest.mark.parametrize("where", CENTERS)
@pytest.mark.parametrize("window", [WHOLE, SHIFTED], ids=["whole", "shifted"])
@pytest.mark.parametrize("scaling", [(0.8, 0.8), (1.0, 1.0), (1.2, 1.2)], ids=str)
def test_targets_follow_the_augmentation(trainer, where, window, scaling):
    np.random.seed(3)
    truth = true_heatmaps(CENTERS[where])
    # the true maps travel as the first channels through the same transform
    data = augmented(truth, window, replace(SETTINGS, scaling=scaling))
    trainer.centers_mm = {"case": np.array(CENTERS[where])}
    batch = batch_of(trainer, data)
    warped, inside = data[:, :NUM_TARGETS], data[:, -1:] > 0.99
    target = batch["target"][0]
    assert target.shape == warped.shape == (1, NUM_TARGETS, *PATCH)
    assert inside.float().mean() > 0.7
    assert ((target - warped).abs() * inside).max() < 0.02
    for index in range(NUM_TARGETS):
        expected = warped[:, index][inside[:, 0]]
        assert expected.max() > (0.8 if where == "inside" else 0.05)
        assert expected.max() - expected.min() > 0.04
    torch.testing.assert_close(batch["data"], warped)
    assert len(batch["target"]) == 4 and all(same is target for same in batch["target"])


@pytest.mark.parametrize("p_mirror", [0.0, 1.0])
@pytest.mark.parametrize("scaling", [0.8, 1.15, 1.2, 1.3])
def test_mirroring_is_told_from_an_image_border_inside_the_patch(trainer, scaling, p_mirror):
    """At the far X border interpolated coordinates fade to 0, which must not look like mirroring."""
    trainer.settings = replace(trainer.settings, p_mirror=0.5, mirror=MIRROR)
    trainer.centers_mm = {"case": np.array(CENTERS["inside"])}
    truth = true_heatmaps(CENTERS["inside"])
    settings = replace(SETTINGS, rotation_deg=10.0, scaling=(scaling, scaling), p_mirror=p_mirror, mirror=MIRROR)
    beyond = np.pad(WithCoordinates(truth, SPACING_MM)[(slice(None), *WHOLE)], ((0, 0), (0, 0), (0, 0), (0, 12)))
    for start in range(11, 19):
        crop = torch.from_numpy(beyond[..., start : start + 25])
        transforms = patch_transforms(PATCH, None, settings, carry_coordinates=True)
        labels = torch.zeros((1, *crop.shape[1:]), dtype=torch.int16)
        data = transforms(image=crop, segmentation=labels)["image"][None]
        inside = data[:, -1:] > 0.99
        target = batch_of(trainer, data)["target"][0]
        assert ((target - data[:, :NUM_TARGETS]).abs() * inside).max() < 0.02


@pytest.mark.parametrize("where", CENTERS)
@pytest.mark.parametrize("window", [WHOLE, SHIFTED], ids=["whole", "shifted"])
def test_mirrored_targets_change_sides(trainer, where, window):
    np.random.seed(4)
    settings = replace(SETTINGS, scaling=(0.9, 1.1), p_mirror=1.0, mirror=MIRROR)
    trainer.settings = replace(trainer.settings, p_mirror=1.0, mirror=MIRROR)
    # as channels of the image, the true maps of the first two targets change places
    data = augmented(true_heatmaps(CENTERS[where]), window, settings)
    trainer.centers_mm = {"case": np.array(CENTERS[where])}
    target = batch_of(trainer, data)["target"][0]
    inside = data[:, -1:] > 0.99
    assert ((target - data[:, :NUM_TARGETS]).abs() * inside).max() < 0.02
    x_mm = data[0, NUM_TARGETS + 2]
    assert x_mm[..., 0].mean() > x_mm[..., -1].mean()


def test_every_augmentation_differs(trainer):
    np.random.seed(0)
    settings = replace(SETTINGS, scaling=(0.8, 1.2))
    trainer.centers_mm = {"case": np.array(CENTERS["inside"])}
    targets = [batch_of(trainer, augmented(true_heatmaps(CENTERS["inside"]), WHOLE, settings)) for _ in range(2)]
    assert (targets[0]["target"][0] - targets[1]["target"][0]).abs().max() > 0.1


def test_targets_are_zero_where_the_patch_leaves_the_image(trainer):
    np.random.seed(1)
    center = [[2.0, 24.0, 22.0]] * NUM_TARGETS
    window = (slice(0, 8), slice(0, 32), slice(0, 31))
    data = augmented(true_heatmaps(center), window, replace(SETTINGS, rotation_deg=0.0, scaling=(1.2, 1.2)))
    trainer.centers_mm = {"case": np.array(center)}
    target = batch_of(trainer, data)["target"][0]
    outside = (data[:, -1:] <= 0.5).expand_as(target)
    assert 0.3 < outside.float().mean() < 0.8
    assert not target[outside].any() and target.max() > 0.9


def test_absent_target_has_an_empty_map(trainer):
    trainer.centers_mm = {"case": np.array([CENTERS["inside"][0], [np.nan] * 3, CENTERS["inside"][2]])}
    data = torch.from_numpy(WithCoordinates(np.zeros((1, *SHAPE), np.float32), SPACING_MM)[:])[None]
    target = batch_of(trainer, data)["target"][0][0]
    assert [bool(heatmap.any()) for heatmap in target] == [True, False, True]
    np.testing.assert_allclose(target[[0, 2]], true_heatmaps(CENTERS["inside"])[[0, 2]], atol=1e-5)


def test_each_case_of_a_batch_has_its_own_centres(trainer):
    trainer.centers_mm = {name: np.array(centers) for name, centers in CENTERS.items()}
    data = torch.from_numpy(WithCoordinates(np.zeros((1, *SHAPE), np.float32), SPACING_MM)[:])[None]
    batch = {"data": data.repeat(2, 1, 1, 1, 1), "target": None, "keys": np.array(["outside", "inside"])}
    target = trainer._with_targets(batch)["target"][0]
    np.testing.assert_allclose(target[0], true_heatmaps(CENTERS["outside"]), atol=1e-5)
    np.testing.assert_allclose(target[1], true_heatmaps(CENTERS["inside"]), atol=1e-5)


def test_validation_transforms_leave_the_data_unchanged(trainer):
    data = np.random.default_rng(0).normal(size=(2, *PATCH)).astype(np.float32)
    image = torch.from_numpy(WithCoordinates(data, SPACING_MM)[:])
    labels = torch.from_numpy(np.random.default_rng(1).integers(-1, 3, (1, *PATCH)).astype(np.int16))
    done = trainer.get_validation_transforms([[1, 1, 1]] * 4)(image=image.clone(), segmentation=labels.clone())
    assert torch.equal(done["image"], image)
    assert len(done["segmentation"]) == 4
    for scale in done["segmentation"]:
        assert torch.equal(scale, labels.clamp(min=0))


def test_coordinates_are_absolute_and_only_the_slice_is_read():
    class Reads(np.ndarray):
        indices = []

        def __getitem__(self, index):
            Reads.indices.append(index)
            return np.asarray(super().__getitem__(index))

    data = np.arange(2 * 4 * 5 * 6, dtype=np.float32).reshape(2, 4, 5, 6)
    lazy = WithCoordinates(data.view(Reads), np.array([3.0, 2.0, 0.5]))
    assert lazy.shape == (6, 4, 5, 6) and lazy.dtype == np.float32
    part = lazy[:, 1:3, 0:5, 2:6]
    assert Reads.indices == [(slice(None), slice(1, 3), slice(0, 5), slice(2, 6))]
    assert part.shape == (6, 2, 5, 4) and part.dtype == np.float32
    np.testing.assert_array_equal(part[:2], data[:, 1:3, :, 2:])
    for z, y, x in np.ndindex(2, 5, 4):
        np.testing.assert_array_equal(part[2:, z, y, x], [(z + 1) * 3.0, y * 2.0, (x + 2) * 0.5, 1])
    whole = lazy[:]
    np.testing.assert_array_equal(whole[:, 1:3, :, 2:], part)
    np.testing.assert_array_equal(lazy[:, 1:3], whole[:, 1:3])


def write_cases(trainer, names):
    folder = trainer.preprocessed_dataset_folder
    rng = np.random.default_rng(0)
    for index, name in enumerate(names):
        seg = np.zeros((1, *SHAPE), np.int8)
        seg[0, 10 + index : 13 + index, 20:23, 8:11] = 1
        seg[0, 20:22, 5:9, 25:28] = 3
        points = {label: np.argwhere(seg == label) for label in range(1, NUM_TARGETS + 1)}
        properties = {"class_locations": points, "spacing": SPACING_MM.tolist()}
        data = rng.normal(size=(1, *SHAPE)).astype(np.float32)
        whole = (1, *SHAPE)
        nnUNetDatasetBlosc2.save_case(data, seg, properties, f"{folder}/{name}", whole, whole, whole, whole)


def test_training_step_on_nnunets_own_loader(trainer, tmp_path):
    names = ["a", "b", "c"]
    base = tmp_path / "nnUNet_preprocessed" / DATASET
    (base / "nnUNetPlans_3d_fullres").mkdir(parents=True)
    write_cases(trainer, names)
    write_json(base / "splits_final.json", [{"train": names[:2], "val": names[2:]}])
    trainer.initialize()
    training, validation = trainer.get_dataloaders()
    assert set(trainer.centers_mm) == set(names)
    for index, name in enumerate(names):
        expected = [[(11 + index) * 2.0, 21 * 1.5, 9 * 1.5], [np.nan] * 3, [20.5 * 2.0, 6.5 * 1.5, 26 * 1.5]]
        np.testing.assert_allclose(trainer.centers_mm[name], expected)

    batch = next(training)
    assert batch["data"].shape == (2, 5, *PATCH)
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    assert np.isfinite(trainer.train_step(batch)["loss"])
    assert any(not torch.equal(old, new) for old, new in zip(before, trainer.network.parameters(), strict=True))

    batch = next(validation)
    done = trainer.validation_step(batch)
    assert np.isfinite(done["loss"])
    truth = trainer._with_targets(batch)["target"][0] > 0.5
    np.testing.assert_array_equal(done["tp_hard"] + done["fn_hard"], truth.sum((0, 2, 3, 4)))
    assert done["fp_hard"].shape == (NUM_TARGETS,) and done["fn_hard"][1] == 0


def test_loss_is_zero_for_perfect_maps_and_ignores_the_constant(trainer):
    loss = trainer._build_loss()
    target = torch.rand(1, NUM_TARGETS, 4, 5, 6)
    for constant in (0.25, 9.0):
        perfect = torch.cat((torch.full_like(target[:, :1], constant), target), dim=1)
        assert loss([perfect] * 4, [target] * 4) == 0
    assert loss([perfect + 0.1] * 4, [target] * 4) > 0


def test_dataset_view_keeps_labels_and_properties():
    class Source:
        identifiers = ["a"]

        def load_case(self, identifier):
            return np.ones((1, 2, 2, 2), np.float32), "seg", None, {"case": identifier}

    view = CoordinateDataset(Source(), SPACING_MM)
    data, *rest = view.load_case("a")
    assert view.identifiers == ["a"] and rest == ["seg", None, {"case": "a"}]
    assert data.shape == (5, 2, 2, 2) and data[:][0].min() == 1
