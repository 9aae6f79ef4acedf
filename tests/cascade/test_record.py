import json
import os

import pytest

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.record import Cascade, find_dataset
from soars_nnunet.cascade.storage import file_hash, json_hash, new_staging, publish, read_json, replacing, write_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.profile import load_profile


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


@pytest.fixture
def cascade(folders):
    source = "Dataset007_Neck"
    (folders / "nnUNet_raw" / source).mkdir()
    names = {branch.key: f"Dataset07{i}_Neck_{branch.suffix}" for i, branch in enumerate(BRANCHES.values(), 1)}
    made = Cascade(source, load_profile("hn42"), names, {"Brainstem": 3, "OpticNrv_L": 1})
    splits = [{"train": [c for c in "abcd" if c != val], "val": [val]} for val in "abcd"]
    for branch in made.branches:
        write_json(made.preprocessed(branch.key) / "splits_final.json", splits)
    return made


def train(cascade, branch, fold):
    folder = cascade.model(branch, "nnUNetPlans") / f"fold_{fold}"
    folder.mkdir(parents=True)
    (folder / "checkpoint_final.pth").touch()


def test_replacing_writes_beside_and_renames(tmp_path):
    target = tmp_path / "deep" / "case.nii.gz"
    with replacing(target) as temporary:
        assert temporary.parent == target.parent and temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["case.nii.gz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_replacing_keeps_the_old_file_and_nothing_else_on_failure(tmp_path, error):
    target = tmp_path / "plans.json"
    target.write_text("old")
    with pytest.raises(error), replacing(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["plans.json"]


def test_write_json_keeps_the_old_file_if_the_data_is_not_json(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, 2]})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": [1, 2]}
    assert os.listdir(tmp_path) == ["a.json"]


def test_staging_is_emptied_and_published_over_an_old_folder(tmp_path):
    folder = tmp_path / "Dataset001_A"
    for text in ("first", "second"):
        with new_staging(folder) as staging:
            assert os.listdir(staging) == []
            (staging / text).write_text(text)
            publish(staging, folder)
    assert os.listdir(tmp_path) == ["Dataset001_A"]
    assert os.listdir(folder) == ["second"]


def test_staging_goes_away_on_failure_and_the_old_folder_stays(tmp_path):
    folder = tmp_path / "Dataset001_A"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(RuntimeError), new_staging(folder) as staging:
        (staging / "half").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == ["Dataset001_A"]
    assert os.listdir(folder) == ["old"]


def test_json_hash_sees_values_but_not_key_order():
    first = {"a": {"x": 1, "y": [1, 2]}, "b": None}
    second = json.loads('{"b": null, "a": {"y": [1, 2], "x": 1}}')
    assert json_hash(first) == json_hash(second)
    assert len({json_hash(data) for data in (first, {"a": {"x": 1, "y": [2, 1]}, "b": None}, {}, [], None)}) == 5


def test_file_hash_is_sha256(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_name_hashes_do_not_tell_names_or_their_order():
    assert name_hashes(["b", "a"]) == name_hashes(["a", "b"])
    assert name_hashes([]) == []
    assert not any("patient" in text for text in name_hashes(["patient_1", "patient_2"]))


@pytest.mark.parametrize("text", ["{", "not json", ""])
def test_read_json_names_the_file(tmp_path, text):
    path = tmp_path / "x.json"
    with pytest.raises(MissingArtifactError, match="found none"):
        read_json(path)
    path.write_text(text)
    with pytest.raises(MissingArtifactError, match=r"x\.json is not valid JSON"):
        read_json(path)


def test_find_dataset_by_id_and_name(folders):
    for name in ("Dataset007_Neck", "Dataset070_Other", "Dataset700_Third"):
        (folders / "nnUNet_raw" / name).mkdir()
    (folders / "nnUNet_raw" / "Dataset008_file").touch()
    assert [find_dataset(wish) for wish in (7, "7", "007", "Dataset007_Neck")] == ["Dataset007_Neck"] * 4
    assert find_dataset(700) == "Dataset700_Third"
    for wish in (8, 9, "Dataset007", "Neck", "", "../nnUNet_raw"):
        with pytest.raises(MissingArtifactError, match="Dataset007_Neck, Dataset070_Other"):
            find_dataset(wish)


def test_find_dataset_refuses_an_ambiguous_id(folders):
    for name in ("Dataset007_Neck", "Dataset007_Again"):
        (folders / "nnUNet_raw" / name).mkdir()
    with pytest.raises(MissingArtifactError, match="Dataset007_Again"):
        find_dataset(7)
    assert find_dataset("Dataset007_Neck") == "Dataset007_Neck"


def test_find_dataset_says_what_is_not_set_or_empty(folders, monkeypatch):
    with pytest.raises(MissingArtifactError, match="no datasets"):
        find_dataset(7)
    for broken in (lambda: monkeypatch.setenv("nnUNet_raw", ""), lambda: monkeypatch.delenv("nnUNet_raw")):
        broken()
        with pytest.raises(MissingArtifactError, match="nnUNet_raw is not set"):
            find_dataset(7)


def test_cascade_round_trip(cascade):
    with pytest.raises(MissingArtifactError, match="soars-stratify -d 7"):
        Cascade.load(7)
    cascade.save(num_folds=4)
    assert Cascade.load("7") == cascade
    assert [branch.key for branch in cascade.branches] == ["anchor", "mid_level", "detection", "small_hard"]


def test_plans_of_a_variant_fall_back_to_the_default(cascade):
    assert cascade.plans_of("anchor", "wide") == "nnUNetPlans"
    write_json(cascade.plans("anchor", "wide"), {})
    assert (cascade.plans_of("anchor", "wide"), cascade.plans_of("mid_level", "wide")) == ("wide", "nnUNetPlans")


def test_require_folds_names_missing_folds_and_commands(cascade):
    for fold in (0, 2):
        train(cascade, "anchor", fold)
    (cascade.model("anchor", "nnUNetPlans") / "fold_1").mkdir()
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[1, 3\]") as error:
        cascade.require_folds("anchor", "nnUNetPlans")
    for fold in (1, 3):
        assert f"nnUNetv2_train 71 3d_fullres {fold} -tr SOARSAnchorTrainer" in str(error.value)
    assert "3d_fullres 0" not in str(error.value)
    for fold in (1, 3):
        (cascade.model("anchor", "nnUNetPlans") / f"fold_{fold}").mkdir(exist_ok=True)
        (cascade.model("anchor", "nnUNetPlans") / f"fold_{fold}" / "checkpoint_final.pth").touch()
    cascade.require_folds("anchor", "nnUNetPlans")


def test_fold_all_cannot_stand_in_for_a_split(cascade):
    train(cascade, "detection", "all")
    assert cascade.trained_folds("detection", "nnUNetPlans") == []
    with pytest.raises(MissingArtifactError, match=r"\[0, 1, 2, 3\]"):
        cascade.require_folds("detection", "nnUNetPlans")


def test_train_command_names_the_plans_of_a_variant(cascade):
    assert cascade.train_command("small_hard", 2).endswith("74 3d_fullres 2 -tr SOARSSmallHardTrainer")
    assert cascade.train_command("anchor", 0, "wide").endswith("-tr SOARSAnchorTrainer -p wide")
