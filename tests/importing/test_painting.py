"""Overlapping contours as one label map, against a loop over voxels."""

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.importing.case import as_profile
from soars_nnunet.importing.painting import paint
from soars_nnunet.importing.public_sets import Structure

SHAPE = (5, 6, 7)
NAMES = ("a", "b", "c", "d")
STRUCTURES = [Structure(name, (name,)) for name in NAMES]


class FakeContours(SimpleNamespace):
    """Contours in memory; an exception is raised in place of a mask."""

    grid = sitk.Image(SHAPE[::-1], sitk.sitkUInt8)

    def mask(self, structure):
        found = self.masks.get(structure.name)
        if isinstance(found, Exception):
            raise found
        return None if found is None else found.copy()


def painted(masks, precedence):
    findings = []
    profile = as_profile(STRUCTURES, dict(zip(NAMES, precedence, strict=True)))
    done = paint(FakeContours(masks=masks), STRUCTURES, profile, findings, case="case_7")
    return done, [(finding.kind, finding.text, finding.voxels) for finding in findings], findings


@pytest.mark.parametrize("precedence", [(0, 0, 0, 0), (3, 2, 1, 0), (1, 0, 1, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_each_voxel_goes_to_the_highest_precedence_then_the_later_label(seed, precedence):
    rng = np.random.default_rng(seed)
    masks = {name: rng.random(SHAPE) < 0.4 for name in NAMES}
    done, found, _ = painted(masks, precedence)
    for voxel in np.ndindex(SHAPE):
        claims = [(precedence[i], i + 1) for i, name in enumerate(NAMES) if masks[name][voxel]]
        assert done.labels[voxel] == max(claims, default=(0, 0))[1]
    assert done.labels.dtype == np.uint8 and done.not_annotated == []
    lost = sum(voxels for kind, _, voxels in found if kind == "overlap")
    claimed = sum(int(mask.sum()) for mask in masks.values())
    assert claimed - lost == np.count_nonzero(done.labels)


def test_overlaps_say_who_keeps_how_many_voxels_and_whether_precedence_decided():
    low, high = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    low[:3], high[2:4] = True, True
    _, found, findings = painted({"a": low, "b": high, "c": np.zeros(SHAPE, bool), "d": high}, (0, 1, 2, 0))
    assert ("overlap", "d over a (same precedence: the later label)", 42) in found
    assert ("overlap", "b over d", 84) in found
    assert ("covered", "d", 84) in found and ("empty", "c", None) in found
    assert {finding.case for finding in findings} == {"case_7"}


def test_what_is_missing_or_unusable_is_not_annotated():
    masks = {"d": np.ones(SHAPE, bool), "b": InputError("damaged")}
    done, found, _ = painted(masks, (3, 2, 1, 0))
    assert done.not_annotated == ["a", "b", "c"]
    assert found == [("missing", "c", None), ("unusable", "b: damaged", None), ("missing", "a", None)]
    assert (done.labels == 4).all()
