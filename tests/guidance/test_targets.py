"""What a case shows of its targets, without what is not annotated."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from guidance.sources import source_files

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.stored_cases import read_channels
from soars_nnunet.guidance.targets import (
    annotated_labels,
    organs_not_annotated,
    read_detected_case,
    targets_not_annotated,
)

CASE = "phantom_000"


@pytest.fixture
def partial(untrained_cascade):
    return replace(untrained_cascade, not_annotated={CASE: ["Larynx", "Cochlea_L", "Pineal"], "b": ["Larynx"]})


def test_only_small_and_hard_organs_count(partial):
    assert organs_not_annotated(partial) == {CASE: ["Cochlea_L", "Pineal"]}


def test_a_target_lacks_what_one_of_its_organs_lacks(partial):
    rows = list(partial.profile.targets)
    assert [rows[row] for row in targets_not_annotated(partial, CASE)] == [
        target for target in rows if target in ("Ear_L", partial.profile.by_name["Pineal"].target)
    ]
    assert targets_not_annotated(partial, "b") == targets_not_annotated(partial, "phantom_001") == []


def test_voxels_of_what_is_not_annotated_are_gone_and_no_others(partial):
    path = source_files(partial)[CASE].labels
    labels, properties = annotated_labels(partial, CASE, path)
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS")
    whole = sitk.GetArrayFromImage(image)
    gone = np.isin(whole, [partial.labels[name] for name in ("Cochlea_L", "Pineal")])
    assert gone.any()
    np.testing.assert_array_equal(labels, np.where(gone, 0, whole))
    assert properties["spacing"] == list(image.GetSpacing()[::-1])


def test_centres_are_of_the_voxels_and_unknown_where_an_organ_is_not_annotated(partial):
    labels, properties = annotated_labels(partial, CASE, source_files(partial)[CASE].labels)
    spacing_mm = np.asarray(properties["spacing"])
    case = read_detected_case(partial, DEFAULT_PLANS, CASE, labels, spacing_mm=spacing_mm)
    lacking = targets_not_annotated(partial, CASE)
    for row, organs in enumerate(partial.profile.targets.values()):
        voxels = np.argwhere(np.isin(labels, [partial.labels[organ.name] for organ in organs]))
        if row in lacking or not len(voxels):
            assert np.isnan(case.centers_mm[row]).all()
        else:
            low, high = voxels.min(0) * spacing_mm, voxels.max(0) * spacing_mm
            assert (low <= case.centers_mm[row]).all() and (case.centers_mm[row] <= high).all()
    stored = read_channels(partial.channels("detection", DEFAULT_PLANS), CASE)
    np.testing.assert_array_equal(case.heatmaps, stored.astype(np.float32))
    assert case.grid.shape == stored.shape[1:] and case.grid.image_shape == labels.shape
