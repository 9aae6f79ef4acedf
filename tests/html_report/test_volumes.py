import base64

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.html_report.volumes import centers_mm, embed


def image(array, spacing=(1.0, 1.0, 1.0), direction=None, origin=(3.0, -5.0, 7.0)):
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    made.SetDirection(np.eye(3).ravel() if direction is None else np.ravel(direction))
    return made


def decoded(text, tmp_path):
    path = tmp_path / "volume.nii.gz"
    path.write_bytes(base64.b64decode(text))
    return sitk.ReadImage(str(path))


@pytest.fixture
def blocks():
    rng = np.random.default_rng(0)
    ct_hu = rng.integers(-1024, 1526, (12, 14, 16)).astype(np.int16)
    labels = np.zeros(ct_hu.shape, np.uint8)
    labels[5:7, 6:9, 4:8], labels[2, 3, 12] = 3, 41
    return ct_hu, labels


def test_small_volumes_keep_grid_labels_and_hu_within_half_a_step(blocks, tmp_path):
    turn = np.deg2rad(20)
    direction = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, -1]]
    ct, labels = (image(array, (2.0, 3.0, 4.0), direction) for array in blocks)
    made = embed(ct, labels)
    assert not made.cropped and made.size == (16, 14, 12)
    read_ct, read_labels = decoded(made.ct, tmp_path), decoded(made.labels, tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_labels), blocks[1])
    assert np.abs(sitk.GetArrayFromImage(read_ct) - blocks[0]).max() <= 5
    for other in (read_ct, read_labels):
        for what in ("Spacing", "Origin", "Direction"):
            np.testing.assert_allclose(getattr(other, f"Get{what}")(), getattr(ct, f"Get{what}")(), atol=1e-5)


def test_cropping_keeps_margin_and_place(tmp_path):
    labels = np.zeros((100, 90, 80), np.uint8)
    labels[60:64, 40:50, 2] = 1
    made = embed(image(np.zeros(labels.shape, np.int16)), image(labels))
    assert made.cropped and made.size == (2 + 1 + 30, 10 + 60, 4 + 60)
    read = decoded(made.labels, tmp_path)
    assert read.GetOrigin() == pytest.approx((3.0, -5.0 + 10, 7.0 + 30))
    assert centers_mm(read) == centers_mm(image(labels)) == {1: [-5.0, -39.5, 68.5]}


def test_large_volumes_are_reduced_without_moving(tmp_path):
    z, y, x = np.mgrid[:40, :40, :40]
    ball = ((z - 20.5) ** 2 + (y - 17) ** 2 + (x - 22) ** 2 < 144).astype(np.uint8)
    made = embed(image(1000 * ball.astype(np.int16), (1.0, 1.0, 3.0)), image(ball, (1.0, 1.0, 3.0)), 16_000)
    assert 12_000 < np.prod(made.size) < 18_000
    read = decoded(made.labels, tmp_path)
    np.testing.assert_allclose(centers_mm(read)[1], [-25.0, -12.0, 68.5], atol=0.5)
    volume = np.prod(read.GetSpacing()) * sitk.GetArrayFromImage(read).sum()
    assert volume == pytest.approx(3 * ball.sum(), rel=0.05)


def test_labels_beyond_a_byte_and_no_labels(blocks, tmp_path):
    ct_hu, labels = blocks
    wide = labels.astype(np.int32) * 100
    made = embed(image(ct_hu), image(wide))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(decoded(made.labels, tmp_path)), wide)
    empty = image(np.zeros_like(labels))
    assert not embed(image(ct_hu), empty).cropped and centers_mm(empty) == {}


def test_nifti_scaling_is_what_other_readers_expect(blocks, tmp_path):
    made = embed(*(image(array) for array in blocks))
    decoded(made.ct, tmp_path)
    stored = nibabel.load(tmp_path / "volume.nii.gz")
    assert stored.get_data_dtype() == np.uint8 and (stored.dataobj.slope, stored.dataobj.inter) == (10, -1024)
