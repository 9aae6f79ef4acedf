"""The trainer of the small & hard branch."""

import torch
from training.cases import organs_of

from soars_nnunet.cascade.case_names import source_case
from soars_nnunet.training.smallhard import SOARSSmallHardTrainer


def test_nnunet_finds_the_class(found_trainer):
    assert SOARSSmallHardTrainer.branch == "small_hard"
    assert found_trainer("small_hard") is SOARSSmallHardTrainer


def test_it_learns_small_and_hard_organs_from_crops_of_the_ct_and_heat_maps(untrained_cascade, initialized):
    trainer = initialized(SOARSSmallHardTrainer)
    organs = organs_of(untrained_cascade, "small_hard")
    targets = list(untrained_cascade.profile.targets)
    assert list(trainer.dataset_json["labels"]) == ["background", *organs]
    assert list(trainer.settings.guidance) == targets and trainer.num_input_channels == 1 + len(targets)
    outputs = trainer.network(torch.zeros(1, 1 + len(targets), 16, 16, 16))
    assert outputs[0].shape == (1, 1 + len(organs), 16, 16, 16)
    crops, _ = trainer.do_split()
    assert {source_case(crop) for crop in crops} == set(untrained_cascade.splits()[0]["train"])
    assert len(crops) > len(targets), "a patient has a crop a target"
