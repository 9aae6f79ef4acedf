"""The map from a patient's voxels to the canonical frame: smooth, without folds, the same on every grid."""

import numpy as np
import pytest

from soars_nnunet.phantom.patient_map import PatientMap

CENTRE_MM = (10.0, -5.0, 0.0)
EVERYTHING = (slice(None), slice(None), slice(None))


def test_the_same_place_has_the_same_coordinates_on_every_grid():
    fine = PatientMap(3, (41, 41, 41), (2.0, 2.0, 2.0), CENTRE_MM).coords(EVERYTHING)
    coarse = PatientMap(3, (21, 21, 21), (4.0, 4.0, 4.0), CENTRE_MM).coords(EVERYTHING)
    for one, other in zip(fine, coarse, strict=True):
        np.testing.assert_allclose(one[::2, ::2, ::2], other, atol=1e-3)


def test_picked_coordinates_are_part_of_all():
    mapping = PatientMap(3, (20, 21, 22), (6.0, 5.0, 4.0), CENTRE_MM)
    everything = mapping.coords(EVERYTHING)
    picked = mapping.coords((slice(3, 9), np.array([0, 7, 20]), slice(None)))
    for one, other in zip(picked, everything, strict=True):
        np.testing.assert_allclose(one, other[3:9][:, [0, 7, 20]], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_folded_or_much_larger_than_another(seed):
    step_mm = 8.0
    coords = np.stack(PatientMap(seed, (36, 30, 30), (step_mm,) * 3, CENTRE_MM).coords(EVERYTHING))
    jacobian = np.stack([np.stack(np.gradient(axis, step_mm), -1) for axis in coords], -2)
    assert (np.linalg.det(jacobian) > 0.5).all() and (np.linalg.det(jacobian) < 1.6).all()
    middle = coords[:, 18, 15, 15]
    assert np.abs(middle - CENTRE_MM).max() < 3 + 5 * 1.6 + step_mm


def test_patients_differ():
    one, other = (PatientMap(seed, (10, 10, 10), (20.0,) * 3, CENTRE_MM).coords(EVERYTHING) for seed in (0, 1))
    assert max(np.abs(a - b).max() for a, b in zip(one, other, strict=True)) > 2


@pytest.mark.parametrize("seed", range(3))
def test_a_box_holds_every_voxel_between_its_corners(seed):
    mapping = PatientMap(seed, (48, 40, 44), (3.0, 4.0, 2.5), CENTRE_MM)
    coords = np.stack(mapping.coords(EVERYTHING), -1)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        low = rng.uniform(-60, 40, 3)
        high = low + rng.uniform(2, 40, 3)
        inside = ((coords >= low) & (coords <= high)).all(-1)
        box = mapping.box(low, high)
        if box is None:
            assert not inside.any()
            continue
        assert inside.sum() == inside[box].sum()
    assert mapping.box(np.full(3, 500.0), np.full(3, 510.0)) is None
