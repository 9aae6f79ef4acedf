"""Complete cases of a raw dataset, and all that belongs to none."""

import pytest
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from soars_nnunet.cascade.dataset_listing import list_dataset, shortened
from soars_nnunet.errors import InputError

JSON = {"file_ending": ".nii.gz"}


@pytest.fixture
def dataset(tmp_path):
    """Cases a and b."""
    add(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz")
    return tmp_path


def add(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


ODD = {
    "CT without labels": (["imagesTr/c_0000.nii.gz"], "1 CT(s) without a label map (c_0000.nii.gz)"),
    "labels without a CT": (["labelsTr/c.nii.gz"], "1 label map(s) without a CT (c.nii.gz)"),
    "capital ending": (["imagesTr/c_0000.NII.GZ"], "1 file(s) of another ending (imagesTr/c_0000.NII.GZ)"),
    "other ending": (["labelsTr/c.nii"], "1 file(s) of another ending (labelsTr/c.nii)"),
    "same case, other ending": (["imagesTr/a_0000.nrrd"], "1 file(s) of another ending (imagesTr/a_0000.nrrd)"),
    "no ending": (["imagesTr/c_0000"], "1 file(s) of another ending (imagesTr/c_0000)"),
    "half downloaded": (["imagesTr/c_0000.nii.gz.part"], "(imagesTr/c_0000.nii.gz.part)"),
    "no channel number": (["imagesTr/c.nii.gz"], "1 CT(s) without _0000 in their name (c.nii.gz)"),
    "three digits": (["imagesTr/c_000.nii.gz"], "1 CT(s) without _0000 in their name (c_000.nii.gz)"),
    "no case name": (["imagesTr/_0000.nii.gz"], "1 CT(s) without _0000 in their name (_0000.nii.gz)"),
    "second channel": (["imagesTr/a_0001.nii.gz"], "1 file(s) of further channels (a_0001.nii.gz)"),
    "label with channel": (["labelsTr/a_0000.nii.gz"], "1 label map(s) without a CT (a_0000.nii.gz)"),
    "folder": (["imagesTr/deeper/c_0000.nii.gz"], "1 folder(s) (imagesTr/deeper)"),
    "two of a kind": (["labelsTr/c.nii.gz", "labelsTr/d.nii.gz"], "2 label map(s) without a CT (c.nii.gz, d.nii.gz)"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_belongs_to_no_case_is_counted_and_named(dataset, name):
    names, expected = ODD[name]
    for file in names:
        (dataset / file).parent.mkdir(exist_ok=True)
    add(dataset, *names)
    listing = list_dataset(dataset, JSON)
    assert list(listing.cases) == ["a", "b"] and expected in listing.describe()


def test_all_kinds_come_in_one_text(dataset):
    add(dataset, "imagesTr/c_0000.nii.gz", "labelsTr/d.nii.gz", "imagesTr/e.nii.gz")
    text = list_dataset(dataset, JSON).describe(4)
    assert text == (
        "1 CT(s) without _0000 in their name (e.nii.gz), 1 CT(s) without a label map (c_0000.nii.gz), "
        "1 label map(s) without a CT (d.nii.gz), numTraining 4 for 2 complete case(s)"
    )


def test_hidden_files_and_documents_are_nothing(dataset):
    add(dataset, "imagesTr/.DS_Store", "imagesTr/._a_0000.nii.gz", "labelsTr/notes.txt", "imagesTr/a_0000.json")
    add(dataset, "labelsTr/Thumbs.db")
    assert list_dataset(dataset, JSON).describe(2) == ""


def test_cases_are_those_of_nnunet(dataset):
    add(dataset, "imagesTr/c_d_0000.nii.gz", "labelsTr/c_d.nii.gz", "imagesTr/0000_0000.nii.gz", "labelsTr/0000.nii.gz")
    theirs = get_filenames_of_train_images_and_targets(str(dataset), dict(JSON))
    ours = list_dataset(dataset, JSON).cases
    assert list(ours) == sorted(theirs)
    for case, files in ours.items():
        assert [str(files.ct)] == theirs[case]["images"] and str(files.labels) == theirs[case]["label"]


def entry(case, **changes):
    return {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz", **changes}


def test_a_list_of_files_is_followed_and_the_rest_only_told(dataset, monkeypatch):
    monkeypatch.setenv("ELSEWHERE", str(dataset))
    listing = list_dataset(
        dataset, {**JSON, "dataset": {"x": entry("a", images=["$ELSEWHERE/imagesTr/a_0000.nii.gz"])}}
    )
    assert list(listing.cases) == ["x"] and listing.describe(1) == ""
    assert listing.cases["x"].ct == dataset / "imagesTr" / "a_0000.nii.gz"
    assert listing.unlisted == ["imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz"]


def test_listed_files_that_are_not_there_and_label_maps_of_two_cases_are_named(dataset):
    listed = {
        "a": entry("a"),
        "b": entry("b"),
        "c": entry("c"),
        "twin": entry("b", label="labelsTr/../labelsTr/a.nii.gz"),
    }
    listing = list_dataset(dataset, {**JSON, "dataset": listed})
    assert list(listing.cases) == ["a", "b"]
    assert "2 missing file(s)" in listing.describe() and "1 label map(s) of two cases" in listing.describe()


@pytest.mark.parametrize(
    "listed",
    [
        None,
        [],
        "a",
        {"a": None},
        {"a": {}},
        {"a": {"images": [], "label": "x"}},
        {"a": entry("a", label=None)},
        {"a/b": entry("a")},
        {"/a": entry("a")},
        {"": entry("a")},
        {"..": entry("a")},
        {"a": entry("a", images="x")},
        {"a": entry("a", images=[1])},
    ],
)
def test_lists_of_another_form_are_refused(dataset, listed):
    with pytest.raises(InputError, match="dataset.json, dataset"):
        list_dataset(dataset, {**JSON, "dataset": listed})


def test_a_dataset_without_its_folders_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected imagesTr/ and labelsTr/"):
        list_dataset(tmp_path, JSON)


def test_of_many_names_the_first_are_listed():
    assert shortened([str(number) for number in range(25)]).endswith("18, 19 and 5 more")
