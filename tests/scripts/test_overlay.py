"""scripts/overlay.py: volumes in one list of labels and one orientation, cropped to the organs."""

import numpy as np
import SimpleITK as sitk

from scripts import overlay
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.html_report.contours import Slice
from soars_nnunet.profile import load_profile


def test_labels_are_translated_by_name_and_others_left_out():
    volume = np.array([[[1, 2, 3, 0]]])
    profile = load_profile("openkbp7")
    found = overlay.in_profile_labels(volume, {"background": 0, "Larynx": 1, "LeftParotid": 2, "PTV": 3}, profile)
    expected = [profile.by_name["Larynx"].label, profile.by_name["Parotid_L"].label, 0, 0]
    assert found.ravel().tolist() == expected
    own = overlay.in_profile_labels(volume, None, profile)
    assert own.ravel().tolist() == [1, 2, 3, 0]


def test_files_of_any_orientation_are_drawn_alike(tmp_path):
    profile = load_profile("openkbp7")
    ct = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    labels = np.zeros(ct.shape, np.uint8)
    labels[1, 2, 3] = 9
    write_json(tmp_path / "dataset.json", {"labels": {"background": 0, "Larynx": 9}})
    read = []
    for orientation in ("LPS", "RAS"):
        for name, array in (("ct", ct), ("labels", labels)):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((1.0, 2.0, 3.0))
            sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(tmp_path / f"{name}.nii.gz"))
        named = {"reference": (tmp_path / "labels.nii.gz", tmp_path / "dataset.json")}
        read.append(overlay.read_volumes(tmp_path / "ct.nii.gz", named, profile))
    for volumes in read:
        np.testing.assert_array_equal(volumes.ct_hu, ct)
        np.testing.assert_allclose(volumes.spacing_mm, (3, 2, 1))
        assert volumes.middle("reference", profile.by_name["Larynx"].label) == [1, 2, 3]


def test_a_margin_is_in_millimetres_and_ends_with_the_volume():
    labels = np.zeros((10, 20, 20), np.uint8)
    labels[1, 10, 10] = 1
    volumes = overlay.Volumes(np.zeros(labels.shape), {"reference": labels}, (3.0, 1.0, 1.0))
    cropped = volumes.cropped("reference", 6.0)
    assert cropped.ct_hu.shape == (4, 13, 13)
    assert cropped.middle("reference", 1) == [1, 6, 6]
    empty = overlay.Volumes(volumes.ct_hu, {"reference": labels * 0}, (3.0, 1.0, 1.0))
    assert empty.cropped("reference", 6.0) is empty


def test_a_row_for_each_label_volume_and_a_column_for_each_view(tmp_path):
    labels = np.zeros((6, 8, 10), np.uint8)
    labels[2:4, 2:5, 3:7] = 1
    named = {"reference": labels, "prediction": labels}
    volumes = overlay.Volumes(np.zeros(labels.shape), named, (2.0, 1.0, 1.0))
    views = {"axial": Slice(0, 3), "sagittal": Slice(2, 5)}
    figure = overlay.draw_rows(
        volumes,
        views,
        {1: (1.0, 0.0, 0.0)},
        window_hu=(-200, 300),
        title="drawn",
        legend={"Larynx": (1.0, 0.0, 0.0)},
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["reference: axial", "reference: sagittal", "prediction: axial", "prediction: sagittal"]
    overlay.save(figure, tmp_path / "folder" / "drawn.png")
    assert (tmp_path / "folder" / "drawn.png").read_bytes().startswith(b"\x89PNG")
