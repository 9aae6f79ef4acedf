"""The trainers that nnU-Net finds when ``nnUNet_extTrainer`` points at this folder.

Only re-exports: the classes live in ``soars_nnunet.training``, so they have one identity however
nnU-Net imports this module.
"""

from soars_nnunet.training.anchor import SOARSAnchorTrainer
from soars_nnunet.training.baseline import SOARSBaselineTrainer
from soars_nnunet.training.detection import SOARSDetectionTrainer
from soars_nnunet.training.finetune import SOARSFineTuneTrainer
from soars_nnunet.training.midlevel import SOARSMidLevelTrainer
from soars_nnunet.training.search import (
    SOARSAnchorSearchTrainer,
    SOARSDetectionSearchTrainer,
    SOARSMidLevelSearchTrainer,
    SOARSSmallHardSearchTrainer,
)
from soars_nnunet.training.smallhard import SOARSSmallHardTrainer

__all__ = [
    "SOARSAnchorSearchTrainer",
    "SOARSAnchorTrainer",
    "SOARSBaselineTrainer",
    "SOARSDetectionSearchTrainer",
    "SOARSDetectionTrainer",
    "SOARSFineTuneTrainer",
    "SOARSMidLevelSearchTrainer",
    "SOARSMidLevelTrainer",
    "SOARSSmallHardSearchTrainer",
    "SOARSSmallHardTrainer",
]
