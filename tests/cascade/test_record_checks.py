"""``soars_cascade.json`` and splits of the wrong shape are refused in one line."""

import json

import pytest

from soars_nnunet.cascade.record_checks import check_record, check_splits
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.profile import load_profile
from soars_nnunet.schemas.node import checked

CASES = ["a", "b", "c", "d"]


def record(**changes):
    data = {
        "profile": load_profile("openkbp7").to_dict(),
        "datasets": {"anchor": "Dataset071_Neck_Anchor"},
        "labels": {"Brainstem": 1},
        "num_folds": 2,
        "split_sha256": "",
        "cases": CASES,
        "empty": {"a": ["Brainstem"]},
        "unannotated": {},
        "patient_pattern": None,
        **changes,
    }
    return {key: value for key, value in json.loads(json.dumps(data)).items() if value != "gone"}


def test_a_record_is_taken_and_facts_that_older_ones_lack_need_not_be_there():
    checked(record(), "x", check_record)
    older = ("num_folds", "split_sha256", "cases", "empty", "unannotated", "patient_pattern")
    checked(record(**dict.fromkeys(older, "gone")), "x", check_record)


RECORDS = {
    "plan cascade.json []": ([], "expected an object"),
    "plan cascade.json null": (None, "expected an object, got None"),
    "no labels": (record(labels="gone"), "expected the keys labels"),
    "labels list": (record(labels=[1]), "labels: expected an object"),
    "label of no organ": (record(labels={"Nose": 1}), "labels.Nose: expected an organ of the profile"),
    "label bool": (record(labels={"Brainstem": True}), "labels.Brainstem: expected a whole number"),
    "label twice": (record(labels={"Brainstem": 1, "SpinalCord": 1}), "a number of its own, got 1, as Brainstem has"),
    "datasets null": (record(datasets=None), "datasets: expected an object"),
    "dataset of no branch": (record(datasets={"root": "Dataset001_A"}), "expected a branch of anchor"),
    "dataset elsewhere": (record(datasets={"anchor": "../../x"}), "datasets.anchor: expected a text like"),
    "folds text": (record(num_folds="2"), "num_folds: expected a whole number"),
    "cases text": (record(cases="abc"), "cases: expected a list"),
    "case path": (record(cases=["../x"]), "cases.0: expected a case name, got '../x', which is a path"),
    "case twice": (record(cases=["a", "a"]), "cases.1: expected every case once, got a again"),
    "empty list": (record(empty=[]), "empty: expected an object"),
    "not annotated numbers": (record(unannotated={"a": [1]}), "unannotated.a.0: expected a text"),
    "pattern list": (record(patient_pattern=["a"]), "patient_pattern: expected a text"),
    "profile null": (record(profile=None), "profile: expected a profile without contradictions"),
}


@pytest.mark.parametrize("odd", RECORDS)
def test_odd_records_are_refused(odd):
    data, match = RECORDS[odd]
    with pytest.raises(MissingArtifactError, match=match) as refused:
        checked(data, "soars_cascade.json", check_record, advice="run soars-stratify again")
    assert str(refused.value).isprintable() and str(refused.value).endswith("run soars-stratify again")


SPLIT = {"train": ["a", "b"], "val": ["c", "d"]}

SPLITS = {
    "plan splits []": ([], "expected a list of 1 to 10000 items, got 0"),
    "plan splits null": (None, "expected a list, got None"),
    "plan splits object": (SPLIT, "expected a list"),
    "plan splits strings": (["a", "b"], "2 faults: 0: expected an object, got 'a' . 1: expected an object"),
    "no val": ([{"train": ["a"]}], "0: expected the keys val"),
    "val empty": ([{**SPLIT, "val": []}], "0.val: expected a list of 1 to"),
    "val text": ([{**SPLIT, "val": "cd"}], "0.val: expected a list"),
    "val numbers": ([{**SPLIT, "val": [1]}], "0.val.0: expected a case name, got 1, which is no text"),
    "overlapping": (
        [SPLIT, {"train": ["a", "c"], "val": ["c"]}],
        "1: expected training and validation cases apart, .* c",
    ),
    "case twice": ([{**SPLIT, "train": ["a", "a"]}], "every case once, got a again"),
    "plan splits unknown case": ([{**SPLIT, "val": ["x"]}], "0: expected cases of the dataset, got x"),
    "crop of an unknown case": ([{**SPLIT, "val": ["x__Lens_L"]}], "expected cases of the dataset, got x__Lens_L"),
    "deep": ([{"train": [[[["a"]]]], "val": ["b"]}], "train.0: expected a case name"),
}


@pytest.mark.parametrize("odd", SPLITS)
def test_odd_splits_are_refused(odd):
    data, match = SPLITS[odd]
    with pytest.raises(MissingArtifactError, match=match):
        checked(data, "splits_final.json", lambda node: check_splits(node, CASES))


def test_splits_of_cases_and_of_their_crops_are_taken():
    for known in (CASES, ()):
        checked(
            [SPLIT, {"train": ["c", "d"], "val": ["a", "b"]}], "x", lambda node, known=known: check_splits(node, known)
        )
    crops = {side: [f"{case}__{target}" for case in SPLIT[side] for target in ("Lens_L", "TMJ_R")] for side in SPLIT}
    checked([crops], "x", lambda node: check_splits(node, CASES))
