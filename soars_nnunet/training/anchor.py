"""Trainer of the anchor branch."""

from soars_nnunet.training.base import SOARSTrainer


class SOARSAnchorTrainer(SOARSTrainer):
    """Anchor organs from CT alone (paper sec. 3.1, eq. 1)."""

    branch = "anchor"
