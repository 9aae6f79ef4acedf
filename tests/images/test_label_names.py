"""What viewers find in and beside label files: read back by others' libraries, or as these describe their files."""

import gzip
import re
import xml.etree.ElementTree as ElementTree

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.images.label_names import embed_label_names, itk_snap_labels, label_xml, slicer_colors
from soars_nnunet.images.organ_colors import organ_colors

LABELS = {"background": 0, "Brainstem": 1, "Parotid_L": 7, 'a "new" & <odd>]]> one': 9}
COLORS = organ_colors(LABELS)


def label_image():
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.uint8).reshape(3, 4, 5) % 10)
    image.SetSpacing((1.5, 2.0, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    return image


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_names_are_in_the_nifti_file_and_its_voxels_and_geometry_stay(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    image = label_image()
    sitk.WriteImage(image, str(path))
    before = nibabel.load(path)
    data, affine, codes = (
        np.asanyarray(before.dataobj),
        before.affine,
        before.header["qform_code"],
    )
    embed_label_names(path, LABELS)
    after = nibabel.load(path)
    np.testing.assert_array_equal(np.asanyarray(after.dataobj), data)
    np.testing.assert_array_equal(after.affine, affine)
    assert after.header["qform_code"] == codes
    again = sitk.ReadImage(str(path))
    assert (again.GetOrigin(), again.GetSpacing(), again.GetDirection()) == (
        image.GetOrigin(),
        image.GetSpacing(),
        image.GetDirection(),
    )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(image))
    (extension,) = after.header.extensions
    assert extension.get_code() == 0 and extension.get_sizeondisk() % 16 == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name]


def test_totalsegmentators_reader_finds_names_by_value(tmp_path):
    """Its ``load_multilabel_nifti`` looks for CaretExtension / VolumeInformation / LabelTable / Label."""
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(label_image(), str(path))
    embed_label_names(path, LABELS)
    root = ElementTree.fromstring(nibabel.load(path).header.extensions[0].get_content().rstrip())
    assert root.tag == "CaretExtension"
    rows = root.findall("VolumeInformation/LabelTable/Label")
    found = {int(row.get("Key")): row.text for row in rows}
    assert found == {1: "Brainstem", 7: "Parotid_L", 9: 'a "new" & <odd>]] > one'}
    for row, color in zip(rows, COLORS.values(), strict=True):
        assert [round(float(row.get(key)) * 255) for key in ("Red", "Green", "Blue")] == list(color)


def test_equal_labels_give_equal_bytes(tmp_path):
    paths = [tmp_path / "a.nii.gz", tmp_path / "elsewhere" / "b.nii.gz"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        sitk.WriteImage(label_image(), str(path), True)
        embed_label_names(path, LABELS)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_formats_are_left_alone(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(label_image(), str(path))
    before = path.read_bytes()
    embed_label_names(path, LABELS)
    assert path.read_bytes() == before


def test_what_has_an_extension_or_is_no_nifti_is_left_alone(tmp_path):
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(label_image(), str(path))
    embed_label_names(path, LABELS)
    before = path.read_bytes()
    embed_label_names(path, {"other": 1})
    assert path.read_bytes() == before
    path.write_bytes(gzip.compress(b"short"))
    embed_label_names(path, LABELS)
    assert gzip.decompress(path.read_bytes()) == b"short"


def test_a_cut_file_fails_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(label_image(), str(path), True)
    cut = path.read_bytes()[:-9]
    path.write_bytes(cut)
    with pytest.raises(EOFError):
        embed_label_names(path, LABELS)
    assert path.read_bytes() == cut and [entry.name for entry in tmp_path.iterdir()] == ["a.nii.gz"]


def test_slicer_reads_a_line_a_label():
    """As its documentation has it: number, name without spaces, red, green, blue and alpha of 0 to 255."""
    lines = slicer_colors(LABELS).splitlines()
    assert lines[0].startswith("# Color table file") and lines[1] == "# 4 values" and lines[2] == "0 background 0 0 0 0"
    red, green, blue = COLORS["Parotid_L"]
    assert lines[4] == f"7 Parotid_L {red} {green} {blue} 255"
    assert all(re.fullmatch(r"\d+ \S+( \d{1,3}){4}", line) for line in lines[2:])


def test_itk_snap_reads_a_line_a_label():
    lines = itk_snap_labels(LABELS).splitlines()
    assert lines[1] == "# ITK-SnAP Label Description File"
    rows = [line for line in lines if not line.startswith("#")]
    assert rows[0].split() == ["0", "0", "0", "0", "0", "0", "0", '"Clear', 'Label"']
    pattern = re.compile(r'^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([0-9.]+)\s+(\d+)\s+(\d+)\s+"([^"]*)"$')
    found = {int(pattern.match(row)[1]): pattern.match(row)[8] for row in rows}
    assert found == {0: "Clear Label", 1: "Brainstem", 7: "Parotid_L", 9: "a 'new' & <odd>]]> one"}
    assert tuple(map(int, pattern.match(rows[2]).groups()[1:4])) == COLORS["Parotid_L"]


@pytest.mark.parametrize("write", [slicer_colors, itk_snap_labels, label_xml])
def test_names_cannot_break_out_of_their_line(write):
    text = write({"one\ntwo \x1b[31m": 1})
    assert "one\ntwo" not in text and "\x1b" not in text and "one" in text


def test_the_longest_name_that_a_file_can_have_is_no_hindrance(tmp_path):
    path = tmp_path / ("a" * 248 + ".nii.gz")
    sitk.WriteImage(label_image(), str(path))
    embed_label_names(path, LABELS)
    assert len(nibabel.load(path).header.extensions) == 1 and len(list(tmp_path.iterdir())) == 1
