"""VOI sizes, against the extents of the organs in the label maps."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from guidance.sources import source_files

from soars_nnunet.errors import InputError
from soars_nnunet.guidance.voi_sizes import target_sizes_mm


def largest_extent_mm(cascade, organs):
    found = []
    for files in source_files(cascade).values():
        image = sitk.DICOMOrient(sitk.ReadImage(str(files.labels)), "RAS")
        voxels = np.argwhere(np.isin(sitk.GetArrayFromImage(image), [cascade.labels[o.name] for o in organs]))
        if len(voxels):
            found.append((np.ptp(voxels, axis=0) + 1) * image.GetSpacing()[::-1])
    return np.max(found, axis=0)


def test_sizes_are_three_times_the_largest_extent_of_both_sides(untrained_cascade):
    sizes_mm = target_sizes_mm(untrained_cascade, source_files(untrained_cascade))
    targets = untrained_cascade.profile.targets
    assert list(sizes_mm) == list(targets)
    for target, organs in targets.items():
        sides = (organs, targets[untrained_cascade.profile.mirrored(target)])
        expected = 3 * np.max([largest_extent_mm(untrained_cascade, side) for side in sides], axis=0)
        np.testing.assert_allclose(sizes_mm[target], expected)


def test_cases_that_lack_an_organ_of_a_target_say_nothing_of_its_size(untrained_cascade):
    files = source_files(untrained_cascade)
    alone = {case: files[case] for case in list(files)[:1]}
    (case,) = alone
    without = replace(untrained_cascade, not_annotated={case: ["Pineal"]})
    with pytest.raises(InputError, match=r"no case has .*Pineal.*; leave the organs out of the profile"):
        target_sizes_mm(without, alone)
    lacking = {name: ["Pineal"] for name in list(files)[1:]}
    sizes_mm = target_sizes_mm(replace(untrained_cascade, not_annotated=lacking), files)
    target = untrained_cascade.profile.by_name["Pineal"].target
    image = sitk.DICOMOrient(sitk.ReadImage(str(alone[case].labels)), "RAS")
    voxels = np.argwhere(sitk.GetArrayFromImage(image) == untrained_cascade.labels["Pineal"])
    np.testing.assert_allclose(sizes_mm[target], 3 * (np.ptp(voxels, axis=0) + 1) * image.GetSpacing()[::-1])
