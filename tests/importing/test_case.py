"""Sides and overlaps of planted phantoms."""

import numpy as np
import pytest
from published_layouts import (
    deepmind_masks,
    found,
    names,
    organ,
    write,
    write_masks,
    write_pddca,
    written,
)

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.importing.dataset import ImportOptions, import_set
from soars_nnunet.importing.public_sets import load_set

pytestmark = pytest.mark.usefixtures("nnunet_folders")


@pytest.mark.parametrize("how", ["names", "header", "lone"])
def test_swapped_sides_are_caught_and_the_case_left_out(pddca, phantom, how):
    part = pddca / "PDDCA-1.4.1_part1"
    if how == "lone":  # the right gland in the file of the left one, the other one missing
        write_pddca(part, phantom, "0522c0003", ("Submandibular_L", "Submandibular_R"))
        mask = organ(phantom, "Glnd_Submand_R")
        write(part / "0522c0003/structures/Submandibular_L.nrrd", mask, phantom)
    else:
        write_pddca(part, phantom, "0522c0003", swap=how == "names", flip=how == "header")
    done = import_set(load_set("pddca"), pddca, 501)
    assert list(done.refused) == ["0522c0003"] and "to the patient's right of" in done.refused["0522c0003"]
    assert "0522c0003.nii.gz" not in names(done.folder / "labelsTr") and len(done.cases) == 5
    assert "0522c0003" not in read_json(done.folder / "cases.json")
    # names and header both flipped are right again
    write_pddca(part, phantom, "0522c0003", swap=True, flip=True)
    assert not import_set(load_set("pddca"), pddca, 501).refused


def test_all_published_structures_are_painted_by_precedence(deepmind, phantom):
    done = import_set(load_set("deepmind"), deepmind, 502, ImportOptions(structures=["all"]))
    masks, expected = written(done, "0522c0727a"), deepmind_masks(phantom)
    assert len(done.labels) == 21
    np.testing.assert_array_equal(masks["Lens_L"], expected["Lens-Lt"])
    np.testing.assert_array_equal(masks["Eye_L"], expected["Orbit-Lt"] & ~expected["Lens-Lt"])
    np.testing.assert_array_equal(masks["SpinalCanal"], expected["Spinal-Canal"] & ~expected["Spinal-Cord"])
    np.testing.assert_array_equal(masks["Brainstem"], expected["Brainstem"])
    assert not (masks["Brain"] & expected["Brainstem"]).any() and masks["Brain"].any()
    lens = int(expected["Lens-Lt"].sum())
    overlaps = {(f.text, f.case): f.voxels for f in done.findings if f.kind == "overlap"}
    assert overlaps["Lens_L over Eye_L", "0522c0727a"] == lens
    assert overlaps["Brainstem over Brain", "TCGA-CV-A6JO"] == expected["Brainstem"].sum()


def test_a_structure_that_others_cover_is_told(tmp_path, phantom):
    write_masks(tmp_path / "clinic", phantom, "p1")
    write(tmp_path / "clinic/p1/mask_Epiglottis.nii.gz", organ(phantom, "Brainstem"), phantom)
    done = import_set(load_set("masks"), tmp_path / "clinic", 509)
    assert found(done, "covered") == [("Epiglottis", "p1")]
    assert done.cases["p1"].voxels["Epiglottis"] == 0
