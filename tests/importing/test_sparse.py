"""Sparse CSV volumes: every direction of the axes against a loop, and files that are damaged."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from published_layouts import found, write_openkbp

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.importing.dataset import import_set
from soars_nnunet.importing.public_sets import SparseFormat, load_set
from soars_nnunet.importing.sparse import from_axes, read_spacing, read_sparse_ct, read_sparse_mask, read_sparse_values

LPS_DIRECTION = {
    "left": (1, 0, 0),
    "right": (-1, 0, 0),
    "posterior": (0, 1, 0),
    "anterior": (0, -1, 0),
    "superior": (0, 0, 1),
    "inferior": (0, 0, -1),
}
AXES = [
    axes
    for choice in itertools.product(("left", "right"), ("posterior", "anterior"), ("superior", "inferior"))
    for axes in itertools.permutations(choice)
]


@pytest.mark.parametrize("axes", AXES)
def test_indices_grow_in_the_directions_that_the_layout_says(axes):
    layout = SparseFormat(shape=(3, 4, 5), axes=axes, hu_offset=0, outside_hu=0)
    spacing_mm = (1.0, 2.0, 3.0)
    image = from_axes(np.arange(60, dtype=np.int16), layout, spacing_mm)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    position = {}
    for index in np.ndindex(image.GetSize()):
        position[image[tuple(int(i) for i in index)]] = np.array(
            image.TransformIndexToPhysicalPoint([int(i) for i in index])
        )
    strides = (20, 5, 1)  # C order
    for axis, direction in enumerate(axes):
        for start in (0, 7, 21):
            step_mm = position[start + strides[axis]] - position[start]
            np.testing.assert_allclose(step_mm, np.multiply(LPS_DIRECTION[direction], spacing_mm[axis]))


LAYOUT = SparseFormat(shape=(2, 3, 4), axes=("superior", "posterior", "left"), hu_offset=-1000, outside_hu=-1024)


def test_a_ct_has_its_values_at_its_indices_and_air_elsewhere(tmp_path):
    path = tmp_path / "ct.csv"
    path.write_text(",data\n0,1000\n13,2040.4\n23,99999\n")
    image = read_sparse_ct(path, LAYOUT, (3.0, 2.0, 1.0))
    flat = sitk.GetArrayFromImage(image).ravel()
    assert {index: value for index, value in enumerate(flat.tolist()) if value != -1024} == {0: 0, 13: 1040, 23: 32767}
    assert image.GetPixelID() == sitk.sitkInt16 and image.GetSpacing() == (1.0, 2.0, 3.0)
    indices, values = read_sparse_values(path, LAYOUT)
    assert indices.tolist() == [0, 13, 23] and values.tolist() == [1000, 2040.4, 99999]


def test_a_mask_needs_no_values_and_may_be_empty(tmp_path):
    path = tmp_path / "mask.csv"
    path.write_text(",data\n3,\n20,\n")
    assert np.flatnonzero(read_sparse_mask(path, LAYOUT)).tolist() == [3, 20]
    path.write_text(",data\n")
    assert not read_sparse_mask(path, LAYOUT).any()


@pytest.mark.parametrize("text", ["1\n2\n", "1\n2\n0\n", "a\n", "1\n2\n3\n4\n"])
def test_spacings_that_are_not_three_positive_numbers_are_refused(tmp_path, text):
    (tmp_path / "spacing.csv").write_text(text)
    with pytest.raises(InputError, match="expected three voxel dimensions"):
        read_spacing(tmp_path / "spacing.csv")


@pytest.mark.usefixtures("nnunet_folders")
@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("voxel_dimensions.csv", "3.5\n4.0\n", "three voxel dimensions"),
        ("ct.csv", ",data\n2097152,5\n", "whole indices from 0 to 2097151"),
        ("ct.csv", ",data\n12,5\n12,6\n", "every voxel once"),
        ("ct.csv", ",data\n12;5\n", "lines of index,value"),
        ("Larynx.csv", ",data\n-4,\n", "whole indices"),
        ("Larynx.csv", ",data\n", None),
    ],
)
def test_damaged_sparse_files(tmp_path, phantom, file, text, said):
    place = write_openkbp(tmp_path / "provided-data", phantom, 7)
    write_openkbp(tmp_path / "provided-data", phantom, 8)
    (place / file).write_text(text)
    done = import_set(load_set("openkbp"), tmp_path / "provided-data", 508)
    if said is None:
        assert found(done, "empty") == [("Larynx", "openkbp_007")]
    elif file == "Larynx.csv":
        ((text, case),) = found(done, "unusable")
        assert case == "openkbp_007" and said in text
        assert read_json(done.folder / "cases.json")["openkbp_007"]["unannotated"] == ["Larynx"]
    else:
        assert list(done.refused) == ["openkbp_007"] and said in done.refused["openkbp_007"]
