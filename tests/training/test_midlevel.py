"""The trainer of the mid-level branch."""

import torch
from training.cases import organs_of

from soars_nnunet.training.midlevel import SOARSMidLevelTrainer


def test_nnunet_finds_the_class(found_trainer):
    assert SOARSMidLevelTrainer.branch == "mid_level"
    assert found_trainer("mid_level") is SOARSMidLevelTrainer


def test_it_learns_mid_level_organs_from_the_ct_and_the_anchors(untrained_cascade, initialized):
    trainer = initialized(SOARSMidLevelTrainer)
    organs = organs_of(untrained_cascade, "mid_level")
    anchors = organs_of(untrained_cascade, "anchor")
    assert list(trainer.dataset_json["labels"]) == ["background", *organs]
    assert list(trainer.settings.guidance) == anchors and trainer.num_input_channels == 1 + len(anchors)
    outputs = trainer.network(torch.zeros(1, 1 + len(anchors), 16, 16, 16))
    assert outputs[0].shape == (1, 1 + len(organs), 16, 16, 16)
