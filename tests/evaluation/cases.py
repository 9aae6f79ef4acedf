"""Label volumes of a few boxes, and the files that hold them."""

import json

import numpy as np
import SimpleITK as sitk

from soars_nnunet.evaluation.case_volumes import CaseVolumes
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation

SPACING = (3.0, 1.25, 0.8)
SHAPE = (12, 16, 20)


def box(shape, start, stop):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def itk_image(array, spacing_mm=SPACING, origin=(0.0, 0.0, 0.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm[::-1])
    image.SetOrigin(origin)
    return image


def write_case(folder, case, array, spacing_mm=SPACING, origin=(0.0, 0.0, 0.0), ending=".nii.gz"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case}{ending}"
    sitk.WriteImage(itk_image(array, spacing_mm, origin), str(path))
    return path


def write_labels(folder, **labels):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **labels}}))


def labels_of(profile, **masks):
    array = np.zeros(SHAPE, np.uint8)
    for name, mask in masks.items():
        array[mask] = profile.by_name[name].label
    return array


def by_organ(scores):
    return {score.organ: score for score in scores}


def volumes(predicted, reference, spacing_mm=SPACING, **more):
    return CaseVolumes("a", predicted, reference, spacing_mm, **more)


CUBE = box(SHAPE, (3, 4, 5), (6, 9, 12))
OTHER = box(SHAPE, (7, 10, 13), (11, 15, 19))
SCORE = {"case": "a", "tier": "anchor", "reference_ml": 1.0, "predicted_ml": 1.0}


def anchors_and_one_small_organ():
    """Anchors A (two cases, one missed) and B (one case, one not in reference); C small & hard, always missed."""
    scores = [
        OrganScore(organ="A", status="scored", dsc=0.8, hd_mm=4.0, asd_mm=1.0, **SCORE),
        OrganScore(organ="B", status="scored", dsc=0.6, hd_mm=8.0, asd_mm=3.0, **SCORE),
        OrganScore(organ="C", status="missed", dsc=0.0, hd_mm=None, asd_mm=None, **{**SCORE, "tier": "small_hard"}),
        OrganScore(organ="A", status="missed", dsc=0.0, hd_mm=None, asd_mm=None, **{**SCORE, "case": "b"}),
        OrganScore(organ="B", status="not_in_reference", dsc=None, hd_mm=None, asd_mm=None, **{**SCORE, "case": "b"}),
    ]
    return Evaluation(tuple(scores), "hn42", "pred", "ref")


def organ_score(case, organ, dsc=0.5, hd_mm=4.0, tier="anchor", **more):
    status = "scored" if hd_mm is not None else "missed"
    return OrganScore(case, organ, tier, status, dsc, hd_mm, hd_mm, 1.0, 1.0, **more)


def method(values, **more):
    """Evaluation from (case, organ, dsc, hd)."""
    return Evaluation(tuple(organ_score(*row) for row in values), **more)
