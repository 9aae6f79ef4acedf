"""SOARS for nnU-Net v2: stratified segmentation of 42 head-and-neck organs at risk.

The pipeline, one package a step, one console script a step::

    public set, own masks
      | importing/         soars-import            (phantom/  soars-phantom draws synthetic patients)
      v
    raw nnU-Net dataset (CT + multi-organ labels)
      | stratification/    soars-stratify          one nnU-Net dataset per branch, patient-level split
      | planning/          soars-plan              fingerprint, plans JSON, nnU-Net's preprocessing
      v
    Anchor            CT                           nnUNetv2_train ... -tr SOARSAnchorTrainer
      | guidance/          soars-channels          out-of-fold anchor probabilities
      v
    MidLevel          CT + anchors                 nnUNetv2_train ... -tr SOARSMidLevelTrainer
    Detection         CT + anchors                 nnUNetv2_train ... -tr SOARSDetectionTrainer
      | guidance/          soars-channels          out-of-fold heat maps, VOI crops
      v
    SmallHard         CT crop + heat maps          nnUNetv2_train ... -tr SOARSSmallHardTrainer
      |
      v
    prediction/            soars-cascade-predict   CT -> one label volume and a report
    cross_validate.py      soars-cross-validate    the same for every training case, by its own fold's models
    evaluation/            soars-evaluate          DSC, HD, ASD per organ and tier
    html_report/           soars-report            one HTML file for an evaluation or a prediction

Organs, tiers and labels come from a profile (profile.py, plans/*.json); every file and folder that one step hands to
the next is named in cascade/. The trainers are in training/, their networks in networks/; nnunet_ext/ is where nnU-Net
finds them. The commands are in cli/, one file each.

Axes: arrays are (C, Z, Y, X), sizes and spacings (mm) in the same order; Z runs feet to
head, X right to left of the reoriented image.
"""

__version__ = "0.1.0"
