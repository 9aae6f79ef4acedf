"""The record of a stratified dataset: what it keeps, and where everything lies."""

from dataclasses import replace

import pytest

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import json_hash, read_json, write_json
from soars_nnunet.errors import MissingArtifactError


def test_cascade_round_trip(cascade):
    with pytest.raises(MissingArtifactError, match="soars-stratify -d 7"):
        Cascade.load(7)
    cascade.save()
    assert Cascade.load("7") == cascade
    assert [branch.key for branch in cascade.branches] == ["anchor", "mid_level", "detection", "small_hard"]


def test_plans_of_a_variant_fall_back_to_the_default(cascade):
    assert cascade.plans_of("anchor", "wide") == "nnUNetPlans"
    write_json(cascade.plans("anchor", "wide"), {})
    assert (cascade.plans_of("anchor", "wide"), cascade.plans_of("mid_level", "wide")) == ("wide", "nnUNetPlans")


def test_train_command_names_the_plans_of_a_variant(cascade):
    assert cascade.train_command("small_hard", 2).endswith("74 3d_fullres 2 -tr SOARSSmallHardTrainer")
    assert cascade.train_command("anchor", 0, "wide").endswith("-tr SOARSAnchorTrainer -p wide")


def test_plans_that_nobody_made_are_refused_with_those_that_there_are(cascade):
    with pytest.raises(MissingArtifactError, match="--plans-name wide: expected plans of .*, which has none; run"):
        cascade.require_plans("wide")
    for name in ("nnUNetPlans", "wide"):
        write_json(cascade.plans("mid_level", name), {})
        write_json(cascade.manifest(name), {})
    cascade.require_plans("wide")
    cascade.require_plans("nnUNetPlans")
    with pytest.raises(MissingArtifactError, match="which has nnUNetPlans, wide;.* did you mean wide?"):
        cascade.require_plans("wider")


def test_facts_of_the_cases_are_kept(cascade):
    facts = {
        "num_folds": 3,
        "split_sha256": "abc",
        "cases": ("a", "b"),
        "empty": {"a": ["Pineal"]},
        "not_annotated": {"b": ["Larynx"]},
        "patient_pattern": "(.)",
    }
    full = replace(cascade, **facts)
    full.save()
    assert Cascade.load(7) == full != cascade
    data = read_json(Cascade.path(cascade.source))
    assert data["unannotated"] == {"b": ["Larynx"]} and data["cases"] == ["a", "b"]
    assert list(data)[:4] == ["source", "datasets", "labels", "num_folds"]


def test_records_without_the_facts_load(cascade):
    cascade.save()
    path = Cascade.path(cascade.source)
    needed = ("source", "datasets", "labels", "profile", "provenance")
    write_json(path, {key: value for key, value in read_json(path).items() if key in needed})
    assert Cascade.load(7) == cascade
    assert cascade.not_annotated == {} and cascade.patient_pattern is None


def test_the_split_hash_is_of_the_split(cascade):
    path = cascade.preprocessed("anchor") / "splits_final.json"
    before = cascade.split_hash("anchor")
    assert before == cascade.split_hash("detection")
    write_json(path, read_json(path)[1:])
    assert cascade.split_hash("anchor") != before


def test_further_crops_leave_the_hash_of_a_split_as_it_is(cascade):
    path = cascade.preprocessed("small_hard") / "splits_final.json"
    plain = [{"train": ["a__Ear_L"], "val": ["b__Ear_L"]}]
    write_json(path, plain)
    hashed = cascade.split_hash("small_hard")
    further = [{"train": ["a__Ear_L", "a__Ear_L-jitter2"], "val": ["b__Ear_L"]}]
    write_json(path, further)
    assert cascade.splits("small_hard") == further and cascade.split_hash("small_hard") == hashed == json_hash(plain)


def test_nothing_of_one_branch_or_variant_lies_where_another_ones_does(cascade):
    places = []
    for plans in ("nnUNetPlans", "wide"):
        places += [cascade.manifest(plans), cascade.options(plans)]
        for branch in cascade.branches:
            places += [cascade.data(branch.key, plans), cascade.plans(branch.key, plans)]
            places += [cascade.channels(branch.key, plans, in_sample) for in_sample in (False, True)]
            places.append(cascade.model(branch.key, plans))
    assert len(set(places)) == len(places) == 2 * (2 + 4 * 5)


def test_the_text_of_a_record_names_no_case(cascade):
    """nnU-Net writes the text of whatever a trainer holds into the model folder."""
    full = replace(cascade, cases=("smith",), empty={"smith": ["Pineal"]}, not_annotated={"smith": ["Larynx"]})
    assert "Dataset007_Neck" in repr(full) and "smith" not in repr(full)
