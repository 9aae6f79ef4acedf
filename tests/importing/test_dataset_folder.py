"""Where a dataset comes to lie: never over something else."""

import pytest
from published_layouts import names, write_masks

from soars_nnunet.errors import InputError
from soars_nnunet.importing.dataset import import_set
from soars_nnunet.importing.dataset_folder import new_folder
from soars_nnunet.importing.public_sets import load_set

pytestmark = pytest.mark.usefixtures("nnunet_folders")


def test_other_datasets_are_never_overwritten(tmp_path, phantom, nnunet_folders):
    write_masks(tmp_path / "clinic", phantom, "p1")
    table, source = load_set("masks"), tmp_path / "clinic"
    (nnunet_folders / "Dataset509_Other").mkdir(parents=True)
    with pytest.raises(InputError, match="id 509 is taken by Dataset509_Other"):
        import_set(table, source, 509)
    (nnunet_folders / "Dataset510_Masks").mkdir()
    (nnunet_folders / "Dataset510_Masks/dataset.json").write_text("{}")
    with pytest.raises(InputError, match="got another dataset"):
        import_set(table, source, 510)
    assert names(nnunet_folders / "Dataset510_Masks") == ["dataset.json"]
    done = import_set(table, source, 511)
    (done.folder / "my_notes.txt").write_text("mine")
    with pytest.raises(InputError, match="my_notes.txt"):
        import_set(table, source, 511)
    assert (done.folder / "my_notes.txt").read_text() == "mine"


@pytest.mark.parametrize("dataset_id", [0, 1000, -3])
def test_ids_out_of_range_are_refused(dataset_id):
    with pytest.raises(InputError, match=f"-d: expected a dataset id between 1 and 999, got {dataset_id}"):
        new_folder(load_set("pddca"), dataset_id, None)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b"])
def test_names_that_no_folder_can_have_are_refused(name):
    with pytest.raises(InputError, match="--name: expected a name without spaces and slashes"):
        new_folder(load_set("pddca"), 7, name)


def test_the_name_is_the_sets_unless_the_user_has_one(nnunet_folders):
    assert new_folder(load_set("pddca", ["test=all15"]), 7, None) == nnunet_folders / "Dataset007_PDDCA_all15"
    assert new_folder(load_set("pddca"), 7, "Mine") == nnunet_folders / "Dataset007_Mine"
