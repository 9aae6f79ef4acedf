"""A training that begins takes the planned first weights, and nothing else does."""

from dataclasses import replace

import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint
from safetensors.torch import load_file

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import CHECKPOINT
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.plan import plan
from soars_nnunet.training.first_weights import read_first_weights
from soars_nnunet.training.search import SOARSAnchorSearchTrainer

PLANS = "Started"
STEPS = ("num_epochs=1", "iterations_per_epoch=2", "val_iterations_per_epoch=1", "final_validation=false")


@pytest.fixture
def started(cascade_copy, strange_bundle):
    """The cascade, with anchors that are planned from a bundle."""
    options = PlanOptions(
        regime="demo", plans_name=PLANS, overrides=STEPS, from_bundle=str(strange_bundle), num_processes=1
    )
    plan(cascade_copy, options, ["anchor"])
    return cascade_copy


def trainer_of(cascade, trainer, fold=0):
    plans = read_json(cascade.plans("anchor", PLANS))
    dataset_json = read_json(cascade.preprocessed("anchor") / "dataset.json")
    return trainer({**plans, "continue_training": False}, CONFIGURATION, fold, dataset_json, torch.device("cpu"))


def first_weights(cascade, fold=0):
    return load_file(cascade.first_weights("anchor", PLANS, fold))


def are_equal(weights, others):
    return all(torch.equal(weights[name].cpu(), others[name].cpu()) for name in weights)


def log_of(trainer):
    with open(trainer.log_file, encoding="utf-8") as file:
        return file.read()


def test_a_training_goes_from_the_first_weights_to_others_and_goes_on_without_them(started, found_trainer):
    trainer = trainer_of(started, found_trainer("anchor"))
    maybe_load_checkpoint(trainer, continue_training=False, validation_only=False)
    begun = []
    trainer.on_train_epoch_start = lambda own=trainer.on_train_epoch_start: (begun.append(copy_of(trainer)), own())
    trainer.run_training()
    assert are_equal(begun[0], first_weights(started))
    assert "First weights: bundle tiny, anchor, fold 0 (initial_weights_Started_fold_0.safetensors)" in log_of(trainer)
    checkpoint = started.model("anchor", PLANS) / "fold_0" / CHECKPOINT
    trained = load_checkpoint(checkpoint)["network_weights"]
    assert not are_equal(trained, begun[0])
    assert (trained["blocks.1.2.weight"] - begun[0]["blocks.1.2.weight"]).abs().max() < 0.02  # two small steps
    assert PlansFile.read(checkpoint.parent.parent / "plans.json").settings.start.bundle == "tiny"
    started.first_weights("anchor", PLANS, 0).unlink()
    again = trainer_of(started, found_trainer("anchor"))
    maybe_load_checkpoint(again, continue_training=True, validation_only=False)
    assert are_equal(again.network.state_dict(), trained) and "First weights" not in log_of(again)
    validated = trainer_of(started, found_trainer("anchor"))
    maybe_load_checkpoint(validated, continue_training=False, validation_only=True)
    assert are_equal(validated.network.state_dict(), trained)


def copy_of(trainer):
    return {name: weights.clone() for name, weights in trainer.network.state_dict().items()}


def test_every_fold_has_its_own_and_fold_all_the_first(started, found_trainer):
    for fold, expected in ((1, 1), ("all", 0)):
        trainer = trainer_of(started, found_trainer("anchor"), fold)
        trainer.initialize()
        assert are_equal(first_weights(started, expected), trainer.network.state_dict())


def test_plans_without_a_bundle_start_from_new_weights(started, found_trainer):
    plans = read_json(started.plans("anchor", PLANS))
    del plans["configurations"][CONFIGURATION]["soars"]["start"]
    dataset_json = read_json(started.preprocessed("anchor") / "dataset.json")
    trainer = found_trainer("anchor")(
        {**plans, "continue_training": False}, CONFIGURATION, 0, dataset_json, torch.device("cpu")
    )
    trainer.initialize()
    assert not are_equal(first_weights(started), trainer.network.state_dict())


def test_a_search_begins_with_weights_of_its_own(started):
    started.first_weights("anchor", PLANS, 0).unlink()
    trainer_of(started, SOARSAnchorSearchTrainer).initialize()


def test_missing_and_changed_files_are_refused(started, found_trainer):
    path = started.first_weights("anchor", PLANS, 0)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(MissingArtifactError, match="fold_0.safetensors: expected the first weights that were planned"):
        trainer_of(started, found_trainer("anchor")).initialize()
    path.unlink()
    with pytest.raises(
        MissingArtifactError, match="expected the first weights .*fold_0.safetensors, found none; rerun"
    ):
        trainer_of(started, found_trainer("anchor")).initialize()


def test_folds_that_the_split_lacks_have_no_first_weights(started):
    start = PlansFile.read(started.plans("anchor", PLANS)).settings.start
    folder = started.preprocessed("anchor")
    assert are_equal(read_first_weights(folder, start, 1), first_weights(started, 1))
    with pytest.raises(MissingArtifactError, match="fold 2: expected a fold of 0 to 1, for which tiny gave weights"):
        read_first_weights(folder, start, 2)
    with pytest.raises(MissingArtifactError, match="fold 1: expected a fold of 0 to 0"):
        read_first_weights(folder, replace(start, folds=start.folds[:1]), 1)
