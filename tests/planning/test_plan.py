import json
import os
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient
from nnunetv2.preprocessing.preprocessors import default_preprocessor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed
from soars_nnunet.errors import InputError
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.phantom.dataset import write_phantom_dataset
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.plan import plan
from soars_nnunet.planning.planned_settings import mirror_order
from soars_nnunet.profile import load_profile
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.stratification.stratify import StratifyOptions, stratify
from soars_nnunet.training.anchor import SOARSAnchorTrainer
from soars_nnunet.training.base import make_optimizer
from soars_nnunet.training.losses import DiceCELoss
from soars_nnunet.training.midlevel import SOARSMidLevelTrainer
from soars_nnunet.training.search import SOARSAnchorSearchTrainer

PLANS = "nnUNetPlans"
SMALL_NETWORK = ("features_per_stage=[2,2,4,4]", "n_convs_per_stage=[1,1,1,1]", "max_patch_voxels=[16,16,16]")
CPU = torch.device("cpu")


def options(*overrides, **changes):
    return PlanOptions(regime="demo", overrides=(*SMALL_NETWORK, *overrides), num_processes=1, **changes)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Four phantoms of 32 x 28 x 28 voxels of 9 mm in two folds, anchor planned; and what plan said."""
    root = tmp_path_factory.mktemp("planned")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            patch.setenv(name, str(root / name))
        patch.setenv("nnUNet_n_proc_DA", "0")
        patch.setenv("nnUNet_compile", "f")
        # a spawned worker imports torch and nnU-Net for seconds before it does anything
        threads = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
        patch.setattr(default_preprocessor, "multiprocessing", threads)
        write_phantom_dataset(
            root / "nnUNet_raw" / "Dataset042_Neck",
            num_training=4,
            num_test=0,
            shape=(32, 28, 28),
            spacing_mm=(9.0, 9.0, 9.0),
        )
        cascade = stratify(42, load_profile("hn42"), StratifyOptions(num_folds=2)).cascade
        said = []
        keys = plan(cascade, options("num_epochs=7", "anchor.batch_size=3"), progress=said.append)
        yield SimpleNamespace(cascade=cascade, keys=keys, said=said, root=root)


def anchor_plans(planned):
    return read_json(planned.cascade.plans("anchor", PLANS))


def trainer_of(planned, trainer=SOARSAnchorTrainer, branch="anchor", plans=None):
    plans = plans or read_json(planned.cascade.plans(branch, PLANS))
    plans["continue_training"] = False  # nnU-Net's run_training adds it
    dataset_json = read_json(planned.cascade.preprocessed(branch) / "dataset.json")
    return trainer(plans, CONFIGURATION, 0, dataset_json, CPU)


def test_guided_branches_wait_and_say_for_what(planned):
    assert planned.keys == ["anchor"]
    waiting = [line for line in planned.said if "waits for" in line]
    assert [line.split(":")[0] for line in waiting] == ["MidLevel", "Detection", "SmallHard"]
    assert "out-of-fold output of Anchor" in waiting[0] and "soars-channels" in waiting[0]
    assert "out-of-fold output of Detection" in waiting[2]
    assert any("nnUNetv2_train 421 3d_fullres 0 -tr SOARSAnchorTrainer" in line for line in planned.said)
    for branch in ("mid_level", "detection", "small_hard"):
        assert not planned.cascade.plans(branch, PLANS).exists()


def test_only_waiting_branches_is_an_error(planned):
    with pytest.raises(InputError, match="no branch could be planned"):
        plan(planned.cascade, options(), ["mid_level"])


def test_unknown_branch_is_named(planned):
    with pytest.raises(ValueError, match="expected some of anchor, mid_level, detection, small_hard, got anchors"):
        plan(planned.cascade, options(), ["anchors"])


def test_plans_load_in_nnunet_and_build_phnn(planned):
    manager = PlansManager(str(planned.cascade.plans("anchor", PLANS)))
    configuration = manager.get_configuration(CONFIGURATION)
    assert manager.transpose_forward == [0, 1, 2]
    assert manager.image_reader_writer_class is SimpleITKIOWithReorient
    assert configuration.normalization_schemes == ["CTNormalization"]
    assert configuration.spacing == [9.0, 9.0, 9.0] and configuration.batch_size == 3
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        10,
        deep_supervision=True,
    )
    assert isinstance(network, PHNN)
    assert [block[0].kernel_size for block in network.blocks[:1]] == [(1, 3, 3)]
    outputs = network(torch.zeros(1, 1, *configuration.patch_size))
    assert [tuple(output.shape) for output in outputs] == [(1, 10, *configuration.patch_size)] * 4


def test_overrides_reach_the_plans_of_their_branch(planned):
    soars = PlansFile(anchor_plans(planned)).configuration["soars"]
    assert (soars["num_epochs"], soars["batch_size"], soars["regime"]) == (7, 3, "demo")
    assert soars["channel_names"] == {"0": "CT"} and soars["guidance"] == []


def test_plans_name_the_partner_of_every_class_and_channel(planned):
    profile = planned.cascade.profile
    settings = PlansFile(anchor_plans(planned)).configuration["soars"]
    names = ["background", *(name for name, _ in branch_labels(planned.cascade, "anchor"))]
    assert settings["mirror"]["channels"] == [0]
    partners = {name: names[index] for name, index in zip(names, settings["mirror"]["classes"], strict=True)}
    assert partners["Eye_L"] == "Eye_R" and partners["Eye_R"] == "Eye_L" and partners["Brainstem"] == "Brainstem"
    targets = ["CT", *profile.targets]
    order = mirror_order(targets, profile)
    assert [order[index] for index in order] == list(range(len(targets))) and order[0] == 0
    for target, index in zip(targets[1:], order[1:], strict=True):
        sides = {profile.mirrored(organ.name) for organ in profile.targets[target]}
        assert {profile.by_name[name].target for name in sides} == {targets[index]}
    assert mirror_order(["CT", "Eye_L", "Brainstem"], profile) is None


def test_mirroring_needs_both_sides(planned):
    labels = {name: label for name, label in planned.cascade.labels.items() if name != "Eye_R"}
    one_sided = replace(planned.cascade, labels=labels)
    with pytest.raises(InputError, match="p_mirror: expected both sides"):
        plan(one_sided, options("p_mirror=0.5"), ["anchor"])


def test_window_of_the_paper_is_clipped_and_its_floor_becomes_zero(planned):
    folder = planned.cascade.data("anchor", PLANS)
    listed = get_filenames_of_train_images_and_targets(str(planned.cascade.raw("anchor")))
    low = high = 0
    for case, files in listed.items():
        hu = SimpleITKIOWithReorient().read_images(files["images"])[0]
        data, seg, _ = load_preprocessed(folder, case)
        np.testing.assert_allclose(data, (np.clip(hu, -500, 1000) + 500) / 150, atol=1e-5)
        low, high = low + (hu < -600).sum(), high + (hu > 1000).sum()
        labels = SimpleITKIOWithReorient().read_seg(files["label"])[0]
        # nnU-Net marks zeros at the border with -1, which its transforms turn to background
        np.testing.assert_array_equal(np.maximum(seg, 0), labels)
    assert low > 1000 and high > 0, "the phantoms should test both ends of the window"


def test_copies_for_validation_are_the_labels(planned):
    truth = planned.cascade.preprocessed("anchor") / "gt_segmentations"
    for path in (planned.cascade.raw("anchor") / "labelsTr").iterdir():
        assert (truth / path.name).read_bytes() == path.read_bytes()


def test_manifest_tells_no_names_or_paths(planned):
    text = planned.cascade.manifest(PLANS).read_text()
    manifest = json.loads(text)
    assert list(manifest["branches"]) == ["anchor"]
    assert len(manifest["branches"]["anchor"]["classes"]) == 9
    for secret in ("phantom_0", "imagesTr", "labelsTr", str(planned.root)):
        assert secret not in text
    model = (planned.cascade.manifest(PLANS).parent / manifest["branches"]["anchor"]["model"]).resolve()
    assert model == planned.cascade.model("anchor", PLANS).resolve()


def test_variants_share_preprocessed_files_unless_they_need_others(planned):
    def folders(*overrides, name):
        plan(planned.cascade, options(*overrides, plans_name=name), ["anchor"])
        return planned.cascade.data("anchor", name), planned.cascade.data("anchor", PLANS)

    alike, default = folders("num_epochs=9", name="OtherEpochs")
    names = sorted(path.name for path in default.iterdir())
    assert sorted(path.name for path in alike.iterdir()) == names
    assert all(os.path.samefile(alike / name, default / name) for name in names if name.startswith("phantom"))
    for override, name in (("max_patch_voxels=[8,8,8]", "OtherPatch"), ("hu_per_unit=1500", "OtherUnit")):
        other, default = folders(override, name=name)
        assert sorted(path.name for path in other.iterdir()) == names
        assert not any(os.path.samefile(other / name, default / name) for name in names if name.startswith("phantom"))


def test_rerun_keeps_verified_work_and_redoes_what_changed(planned):
    def states(*overrides):
        said = []
        plan(planned.cascade, options("num_epochs=7", "anchor.batch_size=3", *overrides), ["anchor"], said.append)
        return [part for line in said for part in ("preprocessed already, verified", ": preprocessed;") if part in line]

    kept, redone = ["preprocessed already, verified"], [": preprocessed;"]
    cases = sorted(planned.cascade.data("anchor", PLANS).glob("phantom_00?.b2nd"))
    assert len(cases) == 4
    assert states() == kept
    stamps = [path.stat().st_mtime_ns for path in cases]
    assert states("num_epochs=8") == kept  # needs no other data
    assert [path.stat().st_mtime_ns for path in cases] == stamps

    label = planned.cascade.raw("anchor") / "labelsTr" / "phantom_000.nii.gz"
    image = sitk.ReadImage(str(label))
    changed = sitk.GetArrayFromImage(image)
    changed[0, 0, 0] = 1
    new = sitk.GetImageFromArray(changed)
    new.CopyInformation(image)
    sitk.WriteImage(new, str(label))
    assert states() == redone
    _, seg, _ = load_preprocessed(planned.cascade.data("anchor", PLANS), "phantom_000")
    assert seg[0, 0, -1, -1] == 1  # LPS to RAS flips y and x
    assert states() == kept

    cases[1].write_bytes(cases[1].read_bytes()[:200])
    assert states() == redone
    cases[2].unlink()
    assert states() == redone


def test_mid_level_without_guidance_needs_no_channels(planned):
    assert plan(planned.cascade, options(guidance="none", plans_name="ctonly"), ["mid_level"]) == ["mid_level"]
    configuration = PlansFile.read(planned.cascade.plans("mid_level", "ctonly")).configuration
    assert configuration["normalization_schemes"] == ["CTNormalization"]
    assert configuration["architecture"]["arch_kwargs"]["genotype"] == ["2D3", "P3D5", "2D3", "P3D5"]
    assert not planned.cascade.plans("mid_level", PLANS).exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("iterations_per_epoch=null", "^iterations_per_epoch=null: expected patches_per_volume beside it"),
        ("search_iterations_per_epoch=null", "^search_iterations_per_epoch=null: expected patches_per_volume"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(planned, override, message):
    before = planned.cascade.plans("anchor", PLANS).read_bytes()
    with pytest.raises(ValueError, match=message):
        plan(planned.cascade, options(override), ["anchor"])
    assert planned.cascade.plans("anchor", PLANS).read_bytes() == before


@pytest.mark.parametrize("spacing", [(9.0, 9.0), (9.0, 9.0, 0.0), (9.0, -1.0, 9.0), (9.0, float("nan"), 9.0)])
def test_unusable_spacing_is_refused(planned, spacing):
    before = planned.cascade.plans("anchor", PLANS).read_bytes()
    with pytest.raises(InputError, match="three positive numbers in mm"):
        plan(planned.cascade, options(spacing_mm=spacing), ["anchor"])
    assert planned.cascade.plans("anchor", PLANS).read_bytes() == before


def test_an_epoch_of_no_given_length_is_a_pass_over_the_patches(planned):
    overrides = ("iterations_per_epoch=null", "patches_per_volume=22", "batch_size=4")
    plan(planned.cascade, options(*overrides, plans_name="passes"), ["anchor"])
    settings = PlansFile.read(planned.cascade.plans("anchor", "passes")).configuration["soars"]
    cases = np.mean([len(split["train"]) for split in planned.cascade.splits()])
    assert settings["iterations_per_epoch"] == np.ceil(cases * 22 / 4)


def test_no_path_travels_with_a_checkpoint(planned, tmp_path):
    trainer = trainer_of(planned)
    assert "dataset" in read_json(planned.cascade.preprocessed("anchor") / "dataset.json")
    assert "dataset" not in trainer.dataset_json and len(trainer.dataset_json["labels"]) == 10
    trainer.initialize()
    path = tmp_path / "checkpoint_final.pth"
    trainer.save_checkpoint(str(path))
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    assert "dataset" not in checkpoint["init_args"]["dataset_json"]
    assert checkpoint["trainer_name"] == "SOARSAnchorTrainer"
    for secret in (b"phantom_0", b"imagesTr", b"labelsTr", str(planned.root).encode()):
        assert secret not in path.read_bytes()


def test_optimiser_is_the_one_that_the_plans_name(planned):
    trainer = trainer_of(planned)
    trainer.initialize()
    (group,), weight = trainer.optimizer.param_groups, [torch.nn.Parameter(torch.zeros(1))]
    assert isinstance(trainer.optimizer, torch.optim.RAdam) and not group["decoupled_weight_decay"]
    decoupled = make_optimizer(replace(trainer.settings, decoupled_weight_decay=True, weight_decay=0.25), weight, 0.1)
    assert (decoupled.defaults["decoupled_weight_decay"], decoupled.defaults["weight_decay"]) == (True, 0.25)
    sgd = make_optimizer(replace(trainer.settings, optimizer="SGD", beta1=0.95), weight, 0.1)
    assert (type(sgd), sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (torch.optim.SGD, 0.95, True)
    with pytest.raises(RuntimeError, match="optimizer: expected RAdam or SGD, got Adam"):
        make_optimizer(replace(trainer.settings, optimizer="Adam"), [], 0.1)


def test_loss_and_its_schedule_are_those_of_the_plans(planned):
    trainer = trainer_of(planned)
    weights = (1.0, 0.5, 0.5, 0.0)
    trainer.settings = replace(trainer.settings, side_output_weights=weights, dice_absent_classes=True)
    trainer.initialize()
    logits, target = torch.randn(4, 2, 10, 4, 4, 4), torch.randint(0, 3, (2, 1, 4, 4, 4))
    each = [DiceCELoss(include_absent=True)(one, target) for one in logits]
    torch.testing.assert_close(trainer.loss(list(logits), [target] * 4), 0.5 * each[0] + 0.25 * (each[1] + each[2]))
    for by_step, expected in ((True, 0.01 * (1 - 2.5 / 7) ** 0.9), (False, 0.01)):
        trainer.settings = replace(trainer.settings, lr_decays_by_step=by_step)
        trainer.lr_scheduler.step(0)
        trainer.current_epoch, trainer.steps_of_epoch = 2, trainer.num_iterations_per_epoch // 2
        with pytest.raises(KeyError):  # the rate is set before the batch is touched
            trainer.train_step({"keys": []})
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_trainer_takes_its_regime_from_the_plans(planned):
    trainer = trainer_of(planned)
    assert (trainer.num_epochs, trainer.initial_lr, trainer.num_iterations_per_epoch) == (7, 0.01, 50)
    trainer.initialize()
    assert isinstance(trainer.optimizer, torch.optim.RAdam)
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0.0001
    assert trainer.inference_allowed_mirroring_axes is None
    assert len(trainer.network(torch.zeros(1, 1, 8, 8, 8))) == 4
    trainer.set_deep_supervision_enabled(False)
    assert trainer.network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 10, 8, 8, 8)


def test_seed_of_the_plans_decides_the_first_weights(planned):
    def weights():
        torch.manual_seed(int(np.random.default_rng().integers(1000)))
        trainer = trainer_of(planned)
        trainer.initialize()
        return torch.cat([parameter.flatten() for parameter in trainer.network.parameters()])

    assert torch.equal(weights(), weights())


def change_features(plans):
    PlansFile(plans).configuration["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 4, 4, 4]


def change_regime(plans):
    PlansFile(plans).configuration["soars"]["sigma_mm"] = 3.0


def change_spacing(plans):
    PlansFile(plans).configuration["spacing"] = [3.0, 3.0, 3.0]


@pytest.mark.parametrize("change", [change_features, change_regime, change_spacing])
def test_folder_with_models_of_other_plans_is_refused(planned, tmp_path, monkeypatch, change):
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    trainer = trainer_of(planned)
    other = anchor_plans(planned)
    change(other)
    folder = planned.cascade.model("anchor", PLANS)
    write_json(folder / "plans.json", other)
    before = (folder / "plans.json").read_bytes()
    (folder / "fold_1").mkdir()
    (folder / "fold_1" / "checkpoint_final.pth").touch()
    with pytest.raises(RuntimeError, match="holds models of other plans"):
        trainer.on_train_start()
    assert (folder / "plans.json").read_bytes() == before


def test_folder_with_models_of_the_same_plans_is_continued(planned, tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    folder = planned.cascade.model("anchor", PLANS)
    write_json(folder / "plans.json", anchor_plans(planned))
    (folder / "fold_1").mkdir()
    (folder / "fold_1" / "checkpoint_final.pth").touch()
    trainer = trainer_of(planned)
    trainer.on_train_start()
    batch = next(trainer.dataloader_train)
    patch = PlansFile(anchor_plans(planned)).configuration["patch_size"]
    assert batch["data"].shape == (3, 1, *patch) and [t.shape for t in batch["target"]] == [(3, 1, *patch)] * 4
    assert np.isfinite(trainer.train_step(batch)["loss"])
    trainer.num_iterations_per_epoch, trainer.num_epochs, trainer.current_epoch = 4, 2, 1
    trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
    trainer.on_train_epoch_start()
    rates = [trainer.train_step(batch) and trainer.optimizer.param_groups[0]["lr"] for _ in range(3)]
    left = 1 - (4 + np.arange(3)) / 8  # of the steps; the rate falls within an epoch
    np.testing.assert_allclose(rates, trainer.initial_lr * left**0.9)
    assert "dataset" not in read_json(folder / "dataset.json")
    assert read_json(folder / "plans.json")["configurations"] == anchor_plans(planned)["configurations"]


KERNELS = {
    SOARSAnchorTrainer: [(1, 3, 3)] * 2 + [(1, 5, 5)] * 2 + [(1, 3, 3)] * 2 + [(5, 5, 5)] * 2,
    SOARSMidLevelTrainer: [(1, 3, 3)] * 2 + [(1, 5, 5), (5, 1, 1)] * 2 + [(1, 3, 3)] * 2 + [(1, 5, 5), (5, 1, 1)] * 2,
}


@pytest.mark.parametrize("trainer", KERNELS)
def test_stock_plans_get_the_published_genotype(planned, trainer):
    plans = anchor_plans(planned)
    configuration = PlansFile(plans).configuration
    del configuration["soars"]
    configuration["architecture"] = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 5,
            "features_per_stage": [32, 64, 128, 256, 320],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * 5,
            "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
        },
        "_kw_requires_import": ["conv_op"],
    }
    made = trainer_of(planned, trainer, plans=plans)
    assert made.settings == load_regime("paper", trainer.branch)
    assert (made.num_epochs, made.num_iterations_per_epoch) == (50, 250)
    if trainer is SOARSAnchorTrainer:  # regime paper: an epoch of the search is a pass, which only soars-plan can count
        search = trainer_of(planned, SOARSAnchorSearchTrainer, plans=plans)
        assert (search.num_epochs, search.num_iterations_per_epoch) == (50, 250)
    manager = PlansManager(plans)
    network = trainer.build_network_architecture(manager, manager.get_configuration(CONFIGURATION), 1, 10, False)
    assert isinstance(network, PHNN) and network.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    found = [m.kernel_size for block in network.blocks for m in block if isinstance(m, torch.nn.Conv3d)]
    assert found == KERNELS[trainer]
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 10, 8, 8, 8)
