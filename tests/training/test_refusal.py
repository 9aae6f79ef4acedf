"""What a trainer refuses in one line before it starts."""

import pytest

from soars_nnunet.cascade.record import hash_of_splits
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.training import refusal
from soars_nnunet.training.refusal import refused, require_fold, require_source_as_stratified

SPLITS = [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]


@pytest.fixture
def dataset(tmp_path):
    write_json(tmp_path / "splits_final.json", SPLITS)
    return tmp_path


@pytest.mark.parametrize("fold", [2, 3, 99, -1])
def test_folds_that_the_split_lacks_are_refused(dataset, fold):
    with pytest.raises(MissingArtifactError, match=rf"fold {fold}: expected a fold of .*splits_final.json \(0, 1\)"):
        require_fold(dataset, fold)


@pytest.mark.parametrize("fold", [0, 1, "all"])
def test_folds_of_the_split_are_fine(dataset, fold):
    require_fold(dataset, fold, hash_of_splits(SPLITS))


@pytest.mark.parametrize("fold", [5, 7])
def test_without_a_split_nnunet_makes_five_folds_and_no_more(tmp_path, fold):
    require_fold(tmp_path, 4)
    with pytest.raises(MissingArtifactError, match=f"fold {fold}"):
        require_fold(tmp_path, fold)


def test_a_split_that_was_not_planned_is_refused(dataset, tmp_path):
    with pytest.raises(MissingArtifactError, match="the split that the plans were made for, got another one"):
        require_fold(dataset, 0, "another")
    (dataset / "splits_final.json").unlink()
    with pytest.raises(MissingArtifactError, match="splits_final.json, found none"):
        require_fold(dataset, 0, "another")


def test_a_refusal_is_one_line_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as stopped, refused():
        raise MissingArtifactError("no such fold")
    assert stopped.value.code == 2 and capsys.readouterr().err == "error: no such fold\n"


def test_data_without_a_source_on_this_machine_are_taken_as_they_are(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path))
    require_source_as_stratified({})
    require_source_as_stratified({"soars": {"source": "Dataset007_Elsewhere"}})


def test_changed_source_files_are_refused_at_a_glance(monkeypatch):
    asked = []

    def changed(cascade, quick):
        asked.append((cascade, quick))
        raise MissingArtifactError("a.nii.gz changed")

    monkeypatch.setattr(refusal.Cascade, "load", lambda source: source)
    monkeypatch.setattr(refusal, "require_unchanged", changed)
    with pytest.raises(MissingArtifactError, match="changed"):
        require_source_as_stratified({"soars": {"source": "Dataset007_Neck"}})
    assert asked == [("Dataset007_Neck", True)]
