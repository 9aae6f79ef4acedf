"""Organs that nobody drew: from the user's file to the branches and their crops."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import classes_not_annotated, read_not_annotated
from soars_nnunet.cascade.record import DEFAULT_PLANS, NOT_ANNOTATED
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import stratify as stratify_command
from soars_nnunet.errors import InputError
from soars_nnunet.guidance.crops import write_crops
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify

HN42 = load_profile("hn42")


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_both_forms_and_any_spelling_are_read(tmp_path):
    path = tmp_path / "cases.json"
    write_json(
        path, {"a": ["Left Parotid", "liver", "Brainstem"], "b": {"split": "x", "unannotated": ["larynx"]}, "c": {}}
    )
    found = read_not_annotated(path, HN42, {"a", "b", "c", "d"})
    assert found == {"a": ["Brainstem", "Parotid_L"], "b": ["Larynx"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [([1], "expected {"), ({"a": "Larynx"}, "expected {"), ({"a": [3]}, "expected {"), ({"z": ["Larynx"]}, "also z")],
)
def test_other_content_is_refused(tmp_path, content, message):
    write_json(tmp_path / "cases.json", content)
    with pytest.raises(InputError, match=message):
        read_not_annotated(tmp_path / "cases.json", HN42, {"a"})


def test_a_class_is_open_if_one_of_its_organs_is():
    classes = [("Pair", ("Eye_L", "Eye_R")), ("Larynx", ("Larynx",))]
    assert classes_not_annotated({"a": ["Eye_R"], "b": ["Brainstem"]}, classes) == {"a": ["Pair"]}


@pytest.fixture
def partial(cascade_copy, tmp_path):
    """The tiny cascade stratified again: one contour listed as not drawn, one case without a voxel of another."""
    labels = raw_folder() / cascade_copy.source / "labelsTr"
    emptied = sitk.ReadImage(str(labels / "phantom_002.nii.gz"))
    voxels = sitk.GetArrayFromImage(emptied)
    voxels[voxels == cascade_copy.labels["Parotid_L"]] = 0
    changed = sitk.GetImageFromArray(voxels)
    changed.CopyInformation(emptied)
    sitk.WriteImage(changed, str(labels / "phantom_002.nii.gz"))
    write_json(tmp_path / "cases.json", {"phantom_000": ["Larynx", "OpticNrv_L", "Brainstem"]})
    return cascade_copy, tmp_path / "cases.json"


def test_branches_know_what_was_not_drawn(partial, capsys):
    cascade, path = partial
    source = raw_folder() / cascade.source
    assert (
        stratify_command.main(["-d", "7", "-p", "hn42", "--folds", "2", "--overwrite", "--unannotated", str(path)]) == 0
    )
    out = capsys.readouterr().out
    assert "phantom_000: Brainstem, Larynx, OpticNrv_L listed as not drawn; the contours are not used" in out
    tables = {key: read_json(cascade.preprocessed(key) / NOT_ANNOTATED) for key in ("anchor", "mid_level", "detection")}
    target = HN42.by_name["OpticNrv_L"].target
    # a few organs of the coarse phantoms have no voxel either
    assert tables["anchor"] == {"phantom_000": ["Brainstem"]} and target in tables["detection"]["phantom_000"]
    assert "Larynx" in tables["mid_level"]["phantom_000"] and "Larynx" not in tables["mid_level"]["phantom_002"]
    assert "Parotid_L" in tables["mid_level"]["phantom_002"]
    written = array(cascade.raw("anchor") / "labelsTr" / "phantom_000.nii.gz")
    truth = array(source / "labelsTr" / "phantom_000.nii.gz")
    for value, (_, (name,)) in enumerate(branch_labels(cascade, "anchor"), 1):
        expected = (truth == cascade.labels[name]) & (name != "Brainstem")
        np.testing.assert_array_equal(written == value, expected)


def test_empty_is_not_drawn_unless_the_user_says_absent(partial, capsys):
    cascade, _ = partial
    assert stratify_command.main(["-d", "7", "-p", "hn42", "--folds", "2", "--overwrite"]) == 0
    assert "taken as there but not drawn" in capsys.readouterr().out
    assert "Parotid_L" in read_json(cascade.preprocessed("mid_level") / NOT_ANNOTATED)["phantom_002"]
    done = stratify(7, HN42, StratifyOptions(num_folds=2, empty_means_absent=True))
    assert "Parotid_L" in done.empty["phantom_002"] and done.not_annotated == {}
    assert read_json(cascade.preprocessed("mid_level") / NOT_ANNOTATED) == {}


def test_crops_leave_open_targets_out(partial):
    cascade = replace(partial[0], not_annotated={"phantom_000": ["OpticNrv_L", "Larynx"]})
    before = {path.name for path in (cascade.raw("small_hard") / "labelsTr").iterdir()}
    write_crops(cascade, DEFAULT_PLANS, lambda text: None)
    crops = {path.name for path in (cascade.raw("small_hard") / "labelsTr").iterdir()}
    target = HN42.by_name["OpticNrv_L"].target
    assert before - crops == {f"phantom_000__{target}.nii.gz"}
    open_organs = [organ.name for organ in HN42.targets[target]]
    table = read_json(cascade.preprocessed("small_hard") / NOT_ANNOTATED)
    assert table and all(crop.startswith("phantom_000__") and names == ["OpticNrv_L"] for crop, names in table.items())
    classes = [name for name, _ in branch_labels(cascade, "small_hard")]
    values = [classes.index(name) + 1 for name in open_organs]
    for name in crops:
        if name.startswith("phantom_000__"):
            assert not np.isin(array(cascade.raw("small_hard") / "labelsTr" / name), values).any()
