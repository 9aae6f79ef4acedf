"""Trainers as nnU-Net makes them, from the plans of the tiny cascade."""

import pytest
import torch
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json


@pytest.fixture
def found_trainer(monkeypatch):
    """Finds the trainer class of a branch by its name, as nnU-Net does."""
    monkeypatch.setenv("nnUNet_extTrainer", trainer_folder())
    return lambda branch: recursive_find_trainer_class_by_name(BRANCHES[branch].trainer)


@pytest.fixture
def initialized(untrained_cascade, tmp_path, monkeypatch):
    """Makes and initialises a trainer of fold 0 of its branch; it writes to a folder of its own."""
    monkeypatch.setenv("nnUNet_results", str(tmp_path))

    def make(trainer):
        plans = read_json(untrained_cascade.plans(trainer.branch, DEFAULT_PLANS))
        dataset_json = read_json(untrained_cascade.preprocessed(trainer.branch) / "dataset.json")
        made = trainer({**plans, "continue_training": False}, CONFIGURATION, 0, dataset_json, torch.device("cpu"))
        made.initialize()
        return made

    return make
