import pytest

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import stratify


@pytest.mark.parametrize("variable", ["nnUNet_raw", "nnUNet_preprocessed"])
def test_unset_folder(refused, monkeypatch, variable, source):
    monkeypatch.delenv(variable)
    assert f"{variable} is not set" in refused(stratify.main, "-d", 42, "-p", "hn42", "--folds", 2)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name": "x", "organs": [{"name": "Eye"}]}', b"\xff\xfe\x00"])
def test_bad_profile_file(refused, source, tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    assert "profile" in refused(stratify.main, "-d", 42, "-p", path)


def test_dataset_without_or_with_broken_json(refused, source):
    for content in ("{", None):
        (source / "dataset.json").unlink() if content is None else (source / "dataset.json").write_text(content)
        assert "dataset.json" in refused(stratify.main, "-d", 42, "-p", "hn42")


@pytest.mark.parametrize("content", ["[]", "{}", '{"channel_names": {"0": "CT"}}', '{"labels": {}}'])
def test_dataset_json_without_the_needed_keys(refused, source, content):
    (source / "dataset.json").write_text(content)
    refused(stratify.main, "-d", 42, "-p", "hn42")


@pytest.mark.parametrize(
    "arguments",
    [["--folds", 5], ["--folds", 2, "--patient-pattern", "("]],
)
def test_bad_stratify_options(refused, source, arguments):
    refused(stratify.main, "-d", 42, "-p", "hn42", *arguments)


def test_label_map_that_cannot_be_read(refused, source):
    path = source / "labelsTr" / "b.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    assert "b.nii.gz" in refused(stratify.main, "-d", 42, "-p", "hn42", "--folds", 2)


def test_stratify_says_what_it_left_out_and_what_is_next(stratified):
    assert "[2/2] b" in stratified
    assert "in profile hn42, not in the dataset: Cerebellum, Eye_L" in stratified
    assert "Dataset421_Neck_Anchor: written" in stratified
    assert stratified.splitlines()[-1] == "next: soars-plan -d 42"


def test_one_tier_writes_one_dataset_of_all_organs(source):
    assert stratify.main(["-d", "42", "-p", "hn42", "--folds", "2", "--one-tier"]) in (0, None)
    cascade = Cascade.load(42)
    assert set(cascade.datasets) <= {"anchor", "detection", "small_hard"}
    organs = [name for name, _ in branch_labels(cascade, "anchor")]
    assert organs == ["Brainstem", "Parotid_L", "Parotid_R"]


def test_options_are_taken_up_again_and_said(stratified, capfd):
    assert stratify.main(["-d", "42"]) == 0
    assert "with options of the last run: -p hn42 --folds 2" in capfd.readouterr().out
    assert Cascade.load(42).num_folds == 2
    assert stratify.main(["-d", "42", "--one-tier"]) == 0
    assert stratify.main(["-d", "42", "-p", "hn42"]) == 0
    assert not Cascade.load(42).profile.tier("mid_level"), "one tier is remembered"
    assert stratify.main(["-d", "42", "--no-one-tier"]) == 0
    assert Cascade.load(42).profile.tier("mid_level")


def test_a_profile_is_needed_the_first_time(refused, source):
    assert "-p: expected a profile" in refused(stratify.main, "-d", 42, "--folds", 2)


def relabel(source, labels):
    data = read_json(source / "dataset.json")
    write_json(source / "dataset.json", {**data, "labels": {"background": 0, **labels}})


def test_check_prints_a_table_and_writes_nothing(source, capsys):
    relabel(source, {"Brainstem": 1, "LT PAROTID": 2, "Ohr re": 3})
    before = sorted(source.parents[1].rglob("*"))
    assert stratify.main(["-d", "42", "-p", "hn42", "--check", "--alias", "Ohr re=Parotid_R"]) in (0, None)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["2", "LT", "PAROTID", "Parotid_L", "mid_level", "read"],
        ["3", "Ohr", "re", "Parotid_R", "mid_level"],
    ]
    assert "nothing written" in said and sorted(source.parents[1].rglob("*")) == before


def test_aliases_are_remembered_until_others_are_given(source, capsys):
    relabel(source, {"Brainstem": 1, "LT PAROTID": 2, "Ohr re": 3})
    assert stratify.main(["-d", "42", "-p", "hn42", "--folds", "2", "--alias", "Ohr re=Parotid_R"]) == 0
    assert "read as: LT PAROTID -> Parotid_L; Ohr re -> Parotid_R" in capsys.readouterr().out
    assert stratify.main(["-d", "42"]) == 0
    assert "--alias 'Ohr re=Parotid_R'" in capsys.readouterr().out
    assert Cascade.load(42).labels["Parotid_R"] == 3
    assert stratify.main(["-d", "42", "--alias", "none"]) == 0
    assert "Parotid_R" not in Cascade.load(42).labels


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("Ohr re", "expected NAME=ORGAN"),
        ("nothing=Parotid_R", "no such name"),
        ("Brainstem=Parotd_R", "no organ 'Parotd_R'; did you mean Parotid_R?"),
    ],
)
def test_aliases_that_say_nothing_true_are_refused(refused, source, alias, message):
    for option in ((), ("--check",)):
        assert message in refused(stratify.main, "-d", 42, "-p", "hn42", "--folds", 2, "--alias", alias, *option)
