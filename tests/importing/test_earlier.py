"""A second batch joins the first; nothing of the first is lost."""

import numpy as np
import pytest
from published_layouts import found, names, organ, write, write_masks, written

from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.cli import import_set as import_set_command
from soars_nnunet.errors import InputError
from soars_nnunet.importing.dataset import ImportOptions, import_set
from soars_nnunet.importing.earlier import EarlierImport
from soars_nnunet.importing.public_sets import load_set

pytestmark = pytest.mark.usefixtures("nnunet_folders")
TABLE = load_set("masks")


@pytest.fixture
def first(tmp_path, phantom):
    """Dataset 509 of the cases p1 and p2, which have a brain stem and parotids."""
    for case in ("p1", "p2"):
        write_masks(tmp_path / "one", phantom, case, organs=("Brainstem", "Parotid_L", "Parotid_R"))
    return import_set(TABLE, tmp_path / "one", 509)


def contents(folder):
    return {path.name: file_hash(path) for part in ("imagesTr", "labelsTr") for path in (folder / part).iterdir()}


def test_a_second_batch_is_added_and_labels_keep_their_meaning(tmp_path, phantom, first):
    before = contents(first.folder)
    write_masks(tmp_path / "two", phantom, "p3", organs=("Parotid_R", "Larynx", "Brainstem"))
    lines = []
    done = import_set(TABLE, tmp_path / "two", 509, progress=lines.append)
    assert names(done.folder / "labelsTr") == ["p1.nii.gz", "p2.nii.gz", "p3.nii.gz"]
    assert before.items() <= contents(done.folder).items()
    assert list(done.labels.items()) == [*first.labels.items(), ("Larynx", 4)]
    assert found(done, "kept") == [("imported before", "p1"), ("imported before", "p2")]
    lists = {case: entry["unannotated"] for case, entry in read_json(done.folder / "cases.json").items()}
    assert lists == {"p1": ["Larynx"], "p2": ["Larynx"], "p3": ["Parotid_L"]}
    assert read_json(done.folder / "dataset.json")["numTraining"] == 3
    for name in ("Parotid_R", "Larynx", "Brainstem"):
        np.testing.assert_array_equal(written(done, "p3")[name], organ(phantom, name))
    again = import_set(TABLE, tmp_path / "one", 509)
    assert contents(again.folder) == contents(done.folder) and again.labels == done.labels


def test_another_case_of_the_same_name_is_refused_and_the_others_added(tmp_path, phantom, first, capfd):
    before = contents(first.folder)
    for case in ("p2", "p3"):
        write_masks(tmp_path / "two", phantom, case, organs=("Larynx",))
    assert import_set_command.main(["masks", str(tmp_path / "two"), "-d", "509"]) == 2
    captured = capfd.readouterr()
    assert "p2: left out: a case of this name with other files was imported before" in captured.out
    assert captured.err.startswith("error: 1 case(s) left out: p2")
    assert before.items() <= contents(first.folder).items() and "p3.nii.gz" in contents(first.folder)
    labels = read_json(first.folder / "dataset.json")["labels"]
    assert {name: labels[name] for name in first.labels} == first.labels


def test_the_same_case_from_another_folder_is_no_contradiction(tmp_path, phantom, first):
    (tmp_path / "one").rename(tmp_path / "moved")
    lines = []
    done = import_set(TABLE, tmp_path / "moved", 509, progress=lines.append)
    assert not done.refused and ["finished already" in line for line in lines] == [True, True]


def test_a_case_that_left_its_folder_stays(tmp_path, first):
    for path in (tmp_path / "one" / "p1").iterdir():
        path.unlink()
    done = import_set(TABLE, tmp_path / "one", 509)
    assert names(done.folder / "labelsTr") == ["p1.nii.gz", "p2.nii.gz"] and found(done, "kept")


def test_other_structures_are_refused_where_cases_stay(tmp_path, phantom, first):
    before = contents(first.folder)
    write_masks(tmp_path / "two", phantom, "p3", organs=("Larynx",))
    with pytest.raises(InputError, match="expected the structures of the cases that are there .*another id"):
        import_set(TABLE, tmp_path / "two", 509, ImportOptions(structures=["Larynx"]))
    write(tmp_path / "one/p1/image.nii.gz", phantom.labels, phantom)  # no CT any more, so that the case stays
    with pytest.raises(InputError, match="as case p1 stays, got others"):
        import_set(TABLE, tmp_path / "one", 509, ImportOptions(structures=["Parotid_L"]))
    assert contents(first.folder) == before


def test_records_of_earlier_versions_are_read(tmp_path, first):
    path = first.folder / "import_cases" / "p1.json"
    data = read_json(path)
    for key in ("inputs", "batch"):
        del data[key]
    write_json(path, data)
    earlier = EarlierImport.read(first.folder)
    assert not earlier.contradicts("p1", "other", "other") and earlier.contradicts("p2", "other", "other")
    write_json(path, {"key": 1})
    with pytest.raises(InputError, match=r"p1\.json: expected the record"):
        EarlierImport.read(first.folder)
    assert EarlierImport.read(tmp_path / "nowhere").cases == {}
