"""What trainers share: regime, optimiser, loss, guarded start, and what the folds of a model have in common."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planning.cases import PLANS, anchor_plans, trainer_of

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.anchor import SOARSAnchorTrainer
from soars_nnunet.training.base import design
from soars_nnunet.training.losses import DiceCELoss
from soars_nnunet.training.midlevel import SOARSMidLevelTrainer
from soars_nnunet.training.optimizer import make_optimizer
from soars_nnunet.training.search import SOARSAnchorSearchTrainer

SETTINGS = replace(load_regime("demo", "anchor"), channel_names={"0": "CT"})


def configuration(settings=SETTINGS, **changes):
    known = {"architecture": {"a": 1}, "patch_size": [4, 4, 4], "spacing": [1.0, 1.0, 1.0], "batch_size": 2}
    return {**known, "soars": settings.to_json(), **changes}


@pytest.mark.parametrize(
    "change",
    [
        {"sigma_mm": 3.0},
        {"batch_size": 3},
        {"in_sample": True},
        {"guidance": ("Eye_L",)},
        {"split_sha256": "other"},
    ],
)
def test_other_trainings_are_other_designs(change):
    assert design(configuration(replace(SETTINGS, **change))) != design(configuration())


@pytest.mark.parametrize(
    "change",
    [{"step_size": (1, 1, 1)}, {"reach": [[None]]}, {"sides": [[[0, 1, 30.0]]]}, {"search_alpha_lr": 0.5}],
)
def test_prediction_and_search_are_no_part_of_a_model(change):
    assert design(configuration(replace(SETTINGS, **change))) == design(configuration())


def test_grid_and_network_are_part_of_a_model():
    for change in ({"patch_size": [8, 4, 4]}, {"spacing": [2.0, 1.0, 1.0]}, {"architecture": {"a": 2}}):
        assert design(configuration(**change)) != design(configuration())
    assert design({"patch_size": [4, 4, 4]})["soars"] == {}, "stock plans"


def test_plans_that_do_not_name_a_later_setting_are_the_same_design():
    older = configuration()
    for key in ("p_guidance_dropout", "dice_absent_classes", "side_output_weights"):
        del older["soars"][key]
    assert design(older) == design(configuration())


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
    log = Path(made.log_file).read_text()
    assert "not the paper's regime: spacing, patch, batch size" in log and f"published {trainer.branch} genotype" in log
    if trainer is SOARSAnchorTrainer:  # regime paper: an epoch of the search is a pass, which only soars-plan can count
        search = trainer_of(planned, SOARSAnchorSearchTrainer, plans=plans)
        assert (search.num_epochs, search.num_iterations_per_epoch) == (50, 250)
    manager = PlansManager(plans)
    network = trainer.build_network_architecture(manager, manager.get_configuration(CONFIGURATION), 1, 10, False)
    assert isinstance(network, PHNN) and network.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    found = [m.kernel_size for block in network.blocks for m in block if isinstance(m, torch.nn.Conv3d)]
    assert found == KERNELS[trainer]
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 10, 8, 8, 8)


@pytest.mark.parametrize("fold", [2, 7])
def test_a_fold_that_the_split_lacks_is_refused_in_one_line(planned, capsys, fold):
    trainer = trainer_of(planned)
    trainer.fold = fold
    for start in (trainer.on_train_start, trainer.do_split):
        with pytest.raises(SystemExit) as stopped:
            start()
        (line,) = capsys.readouterr().err.splitlines()
        assert stopped.value.code == 2 and line.startswith(f"error: fold {fold}: expected a fold of ")
    assert not list(Path(trainer.output_folder).glob("*.pth"))
