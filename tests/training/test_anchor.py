"""The trainer of the anchor branch."""

import torch
from training.cases import organs_of

from soars_nnunet.training.anchor import SOARSAnchorTrainer


def test_nnunet_finds_the_class(found_trainer):
    assert SOARSAnchorTrainer.branch == "anchor"
    assert found_trainer("anchor") is SOARSAnchorTrainer


def test_it_learns_the_anchors_from_the_ct_alone(untrained_cascade, initialized):
    trainer = initialized(SOARSAnchorTrainer)
    anchors = organs_of(untrained_cascade, "anchor")
    assert list(trainer.dataset_json["labels"]) == ["background", *anchors]
    assert trainer.settings.guidance == () and trainer.num_input_channels == 1
    assert trainer.network(torch.zeros(1, 1, 16, 16, 16))[0].shape == (1, 1 + len(anchors), 16, 16, 16)
