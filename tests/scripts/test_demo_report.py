"""scripts/demo_report.py: errors of detected centres on a made-up report."""

import shutil

import numpy as np
import SimpleITK as sitk

from scripts.demo_report import CASE, REAL_CT, draw_real, organ_colors, print_detection
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.profile import load_profile


def write_case(tmp_path, status_of):
    """A label map with every target's first organ as one voxel, and a report 3 mm off in x."""
    profile = load_profile("hn42")
    labels = np.zeros((4, 4, 20), np.uint8)
    targets = {}
    for index, (target, organs) in enumerate(profile.targets.items()):
        labels[1, 2, index] = organs[0].label
        center_mm = [2.0 * index + 3, 4.0, 3.0]
        targets[target] = {"status": status_of(index), "center_mm": center_mm}
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((2.0, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / "phantom_001.nii.gz"))
    write_json(tmp_path / "phantom_001.json", {"case": "phantom_001", "targets": targets})
    return profile


def test_distances_and_what_is_absent(tmp_path, capsys):
    profile = write_case(tmp_path, lambda index: "absent" if index == 0 else "found")
    print_detection(tmp_path, tmp_path)
    said = capsys.readouterr().out
    first, second = list(profile.targets)[:2]
    assert f"{second} 3.0" in said and f"{first} " not in said.split("mean")[0]
    assert "mean 3.00 mm, largest 3.00 mm; found 9 of 10" in said


def test_nothing_found(tmp_path, capsys):
    write_case(tmp_path, lambda index: "absent")
    print_detection(tmp_path, tmp_path)
    assert "found 0 of 10 detection targets" in capsys.readouterr().out


def test_every_organ_has_a_color_of_its_own():
    profile = load_profile("hn42")
    colors = organ_colors(profile)
    assert set(colors) == {organ.label for organ in profile.organs}
    assert len(set(colors.values())) == len(profile.organs)


def test_the_real_ct_is_drawn_beside_its_contours(tmp_path):
    """A prediction that is the reference, in the profile's labels, gives a picture of both."""
    (tmp_path / "prediction").mkdir()
    labels = read_json(REAL_CT / "dataset.json")
    write_json(tmp_path / "prediction" / "dataset.json", labels)
    shutil.copy(REAL_CT / "labels" / f"{CASE}.nii.gz", tmp_path / "prediction")
    draw_real(tmp_path / "prediction", tmp_path / "real_ct.png")
    assert (tmp_path / "real_ct.png").stat().st_size > 50_000
