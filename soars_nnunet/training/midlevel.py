"""Trainer of the mid_level branch."""

from soars_nnunet.training.base import SOARSTrainer


class SOARSMidLevelTrainer(SOARSTrainer):
    """Mid-level organs from CT and anchor probabilities (paper sec. 3.1, eq. 3)."""

    branch = "mid_level"
