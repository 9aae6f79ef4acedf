"""Patients: every organ is there, in its place, whatever the grid; seeds decide everything."""

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.phantom.phantom import make_phantom
from soars_nnunet.profile import load_profile

HN42 = load_profile("hn42")
FIELD_MM = (288, 240, 240)


@cache
def phantom(seed, spacing_mm):
    return make_phantom(seed, tuple(size // spacing_mm for size in FIELD_MM), (float(spacing_mm),) * 3)


def centre_mm(patient, name):
    voxels = np.argwhere(patient.labels == HN42.by_name[name].label)
    return voxels.mean(0) * patient.spacing_mm + patient.origin_mm


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_organ_has_voxels_at_3_mm(seed):
    counts = np.bincount(phantom(seed, 3).labels.ravel(), minlength=43)
    assert {organ.name: counts[organ.label] for organ in HN42.organs if counts[organ.label] < 5} == {}
    assert len(counts) == 43


def test_small_organs_are_healthy_at_2_mm():
    # 120 x 160 x 160 mm around the centre hold the whole small & hard tier
    part = make_phantom(3, (60, 80, 80), (2.0, 2.0, 2.0))
    counts = np.bincount(part.labels.ravel(), minlength=43)
    small = [organ for organ in HN42.tier("small_hard") if counts[organ.label] < 25]
    assert small == []


def test_arrays_and_geometry():
    patient = phantom(0, 4)
    assert (patient.ct_hu.dtype, patient.labels.dtype) == (np.int16, np.uint8)
    assert patient.ct_hu.shape == patient.labels.shape == (72, 60, 60)
    np.testing.assert_allclose(patient.origin_mm, (-142, -118, -118))
    image = patient.ct_image()
    assert image.GetSpacing() == (4.0, 4.0, 4.0) and image.GetOrigin() == (-118.0, -118.0, -142.0)
    assert image.GetDirection() == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert image.GetPixelID() == sitk.sitkInt16 and patient.label_image().GetPixelID() == sitk.sitkUInt8


def test_seed_decides_everything():
    again = make_phantom(0, (72, 60, 60), (4.0, 4.0, 4.0))
    assert np.array_equal(again.ct_hu, phantom(0, 4).ct_hu) and np.array_equal(again.labels, phantom(0, 4).labels)
    assert not np.array_equal(phantom(1, 4).labels, again.labels)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_left_is_at_larger_x_and_the_head_at_larger_z(seed):
    patient = phantom(seed, 3)
    for organ in HN42.organs:
        if organ.side == "L":
            assert centre_mm(patient, organ.name)[2] > centre_mm(patient, organ.mirror)[2] + 8, organ.name
    assert centre_mm(patient, "Lobe_Temporal_L")[0] > centre_mm(patient, "Parotid_L")[0]
    assert centre_mm(patient, "Parotid_L")[0] > centre_mm(patient, "Glnd_Thyroid_L")[0]
    assert centre_mm(patient, "Eye_L")[1] < centre_mm(patient, "Brainstem")[1] < centre_mm(patient, "Cerebellum")[1]


@pytest.mark.parametrize("side", ["L", "R"])
def test_cochlea_lies_against_its_inner_ear(side):
    patient = phantom(1, 3)
    ear = np.argwhere(patient.labels == HN42.by_name[f"Ear_Internal_{side}"].label)
    for voxel in np.argwhere(patient.labels == HN42.by_name[f"Cochlea_{side}"].label):
        assert np.linalg.norm((ear - voxel) * 3.0, axis=1).min() <= 9
    assert np.linalg.norm(centre_mm(patient, f"Cochlea_{side}") - centre_mm(patient, f"Ear_Internal_{side}")) < 12


def test_organs_move_together():
    # the shift of an inner organ between patients follows that of its anchor neighbours
    def offset(seed):
        eyes = [centre_mm(phantom(seed, 3), name) for name in ("Eye_L", "Eye_R", "Brainstem")]
        return centre_mm(phantom(seed, 3), "OpticChiasm") - np.mean(eyes, 0)

    assert np.linalg.norm(offset(0) - offset(1)) < 5 and np.linalg.norm(offset(0) - offset(2)) < 5


def test_anatomy_does_not_depend_on_the_grid():
    coarse, fine = phantom(0, 4), phantom(0, 3)
    for organ in HN42.organs:
        volumes_ml = [np.count_nonzero(p.labels == organ.label) * p.spacing_mm[0] ** 3 / 1000 for p in (coarse, fine)]
        if max(volumes_ml) > 5:
            assert volumes_ml[0] == pytest.approx(volumes_ml[1], rel=0.15), organ.name
        if min(volumes_ml) > 0:
            assert np.abs(centre_mm(coarse, organ.name) - centre_mm(fine, organ.name)).max() < 4, organ.name


def test_drawing_in_slabs_changes_nothing(monkeypatch):
    monkeypatch.setattr("soars_nnunet.phantom.phantom.SLAB_VOXELS", 5 * 60 * 60)
    slabs, whole = make_phantom(0, (72, 60, 60), (4.0, 4.0, 4.0)), phantom(0, 4)
    assert np.mean(slabs.labels != whole.labels) < 1e-5  # float32 sums may round another way
    assert np.abs(slabs.ct_hu.astype(int) - whole.ct_hu).max() <= 1


def test_hounsfield_units_are_plausible():
    patient = phantom(0, 3)

    def hu(name):
        return patient.ct_hu[patient.labels == HN42.by_name[name].label]

    assert patient.ct_hu[-1, 0, 0] < -900 and np.mean(patient.ct_hu[:, 0, 0]) < -950
    assert np.std(patient.ct_hu[-30:, :4, :4]) == pytest.approx(12, rel=0.15)
    assert np.median(hu("Bone_Mandible_L")) > 300 and np.median(hu("Bone_Mandible_R")) > 300
    for name in ("Brainstem", "Cerebellum", "Lobe_Temporal_L", "Parotid_L", "Glnd_Submand_R", "Eye_L", "SpinalCord"):
        assert -200 < np.median(hu(name)) < 200, name
    assert np.median(hu("Glnd_Thyroid_L")) > np.median(hu("Parotid_L")) + 50
    assert np.min(hu("Larynx")) < -300


def test_other_profiles_label_the_same_ct():
    small = make_phantom(0, (72, 60, 60), (4.0, 4.0, 4.0), load_profile("miccai2015"))
    assert np.array_equal(small.ct_hu, phantom(0, 4).ct_hu)
    mandible = load_profile("miccai2015").by_name["Bone_Mandible"].label
    halves = [HN42.by_name[f"Bone_Mandible_{side}"].label for side in "LR"]
    missed = np.isin(phantom(0, 4).labels, halves) & (small.labels != mandible)
    assert not missed.any()


@pytest.mark.parametrize(
    ("seed", "shape", "spacing_mm", "message"),
    [
        (0, (8, 8), (3.0, 3.0, 3.0), r"shape: expected 3 positive integers .* got \(8, 8\)"),
        (0, (8, 8, 0), (3.0, 3.0, 3.0), "shape: expected"),
        (0, (8, 8, 8.5), (3.0, 3.0, 3.0), "shape: expected"),
        (0, 8, (3.0, 3.0, 3.0), "shape: expected"),
        (0, (8, 8, 8), (3.0, 3.0, 0.0), "spacing_mm: expected 3 positive numbers .* got"),
        (0, (8, 8, 8), (3.0, float("nan"), 3.0), "spacing_mm: expected"),
        (-1, (8, 8, 8), (3.0, 3.0, 3.0), "seed: expected an integer of at least 0, got -1"),
    ],
)
def test_bad_grids_are_refused(seed, shape, spacing_mm, message):
    with pytest.raises(ValueError, match=message):
        make_phantom(seed, shape, spacing_mm)
