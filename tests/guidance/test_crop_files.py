"""Files of a crop: what is in them and where they lie."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.guidance.crop_files import CropWriter, small_hard_labels
from soars_nnunet.profile import load_profile

BOX = ((2, 5), (-1, 3), (4, 6))
GEOMETRY = {
    "spacing": (1.5, 2.0, 3.0),
    "origin": (-20.0, 5.0, 7.5),
    "direction": (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
}


@pytest.fixture
def written(tmp_path):
    channels = np.random.default_rng(0).normal(0, 40000, (3, 3, 4, 2)).astype(np.float32)
    channels[1:] = np.abs(channels[1:]) / 1e5
    labels = np.arange(6 * 5 * 7).reshape(6, 5, 7).astype(np.uint8) % 5
    writer = CropWriter(tmp_path, ".nii.gz")
    writer.write("a__Ear_L", channels, labels, box=BOX, geometry=GEOMETRY)
    assert writer.names == ["a__Ear_L"]
    images = [sitk.ReadImage(str(tmp_path / "imagesTr" / f"a__Ear_L_{i:04d}.nii.gz")) for i in range(3)]
    return channels, labels, images, sitk.ReadImage(str(tmp_path / "labelsTr" / "a__Ear_L.nii.gz"))


def test_the_ct_is_rounded_and_clipped_and_heat_maps_are_kept(written):
    channels, _, (ct, *heatmaps), _ = written
    assert ct.GetPixelID() == sitk.sitkInt16
    expected = np.clip(np.rint(channels[0]), -32768, 32767)
    assert (expected == 32767).any() and (expected == -32768).any()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ct), expected)
    for heatmap, values in zip(heatmaps, channels[1:], strict=True):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(heatmap), values)


def test_labels_are_those_of_the_box_and_none_outside_the_image(written):
    _, labels, _, crop = written
    values = sitk.GetArrayFromImage(crop)
    assert not values[:, 0].any()
    np.testing.assert_array_equal(values[:, 1:], labels[2:5, 0:3, 4:6])


def test_a_crop_lies_where_its_box_does_in_the_image(written):
    *_, (ct, *heatmaps), crop = written
    whole = sitk.Image(7, 5, 6, sitk.sitkUInt8)
    whole.SetSpacing(GEOMETRY["spacing"])
    whole.SetOrigin(GEOMETRY["origin"])
    whole.SetDirection(GEOMETRY["direction"])
    expected = whole.TransformIndexToPhysicalPoint((4, -1, 2))
    for image in (ct, *heatmaps, crop):
        np.testing.assert_allclose(image.GetOrigin(), expected, atol=1e-5)
        np.testing.assert_allclose(image.GetSpacing(), GEOMETRY["spacing"])


def test_small_hard_classes_are_in_the_profiles_order_and_all_else_is_background():
    profile = load_profile("hn42")
    names = ["Pineal", "Cochlea_L", "Brainstem", "OpticNrv_R"]
    cascade = Cascade("Dataset007_A", profile, {}, {name: 10 + index for index, name in enumerate(names)})
    classes = [organ.name for organ in profile.tier("small_hard") if organ.name in names]
    labels = np.array([[[0, 10, 11, 12, 13, 5]]])
    found = small_hard_labels(cascade, labels)
    expected = [0, *(classes.index(n) + 1 if n in classes else 0 for n in names), 0]
    assert found.dtype == np.uint8 and found.ravel().tolist() == expected
    fewer = small_hard_labels(replace(cascade, labels={**cascade.labels, "Pituitary": 99}), labels)
    assert fewer.max() <= 4
