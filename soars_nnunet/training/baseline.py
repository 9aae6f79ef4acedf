"""Trainer of the baseline that the paper compares with (table 1): one P-HNN on all organs."""

from soars_nnunet.training.base import SOARSTrainer


class SOARSBaselineTrainer(SOARSTrainer):
    """All organs of the profile from CT alone, with 3D convolutions (paper sec. 4.3)."""

    branch = "baseline"
