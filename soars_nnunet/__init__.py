"""SOARS for nnU-Net v2: stratified segmentation of 42 head-and-neck organs at risk.

The pipeline, one module a step, one console script a module::

    public set, own masks
      | importing/    soars-import
      v
    raw nnU-Net dataset (CT + multi-organ labels)
      | stratify.py   soars-stratify          one nnU-Net dataset per tier, patient-level split
      | plan.py       soars-plan              fingerprint, plans JSON, nnU-Net's preprocessing
      v
    Anchor            CT                      nnUNetv2_train ... -tr SOARSAnchorTrainer
      | channels.py   soars-channels          out-of-fold anchor probabilities
      v
    MidLevel          CT + anchors            nnUNetv2_train ... -tr SOARSMidLevelTrainer
    Detection         CT + anchors            nnUNetv2_train ... -tr SOARSDetectionTrainer
      | channels.py   soars-channels          out-of-fold heat maps; crops.py: VOI crops
      v
    SmallHard         CT crop + heat maps     nnUNetv2_train ... -tr SOARSSmallHardTrainer
      |
      v
    predict.py        soars-cascade-predict   CT -> one label volume and a report
    evaluation/       soars-evaluate          DSC, HD, ASD per organ and tier
    html_report/      soars-report            one HTML file for an evaluation or a prediction

Organs, tiers and labels come from a profile (profile.py, plans/*.json); every file and
folder that one step hands to the next is named in artifacts.py.

Axes: arrays are (C, Z, Y, X), sizes and spacings (mm) in the same order; Z runs feet to
head, X right to left of the reoriented image.
"""

__version__ = "0.1.0"
