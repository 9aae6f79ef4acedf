"""Trainer of the small_hard branch."""

from soars_nnunet.training.base import SOARSTrainer


class SOARSSmallHardTrainer(SOARSTrainer):
    """Small & hard organs inside VOIs, from CT and heat maps (paper sec. 3.1, eq. 5)."""

    branch = "small_hard"
