"""What another stratification would make stale, and what becomes of it."""

import re
from dataclasses import replace

import pytest

from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder, results_folder
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stale import (
    changes,
    changes_of_contours,
    require_nothing_trained,
    set_aside,
    trained_models,
)

HN42 = load_profile("hn42")
BEFORE = Cascade(
    source="Dataset042_Neck",
    profile=HN42,
    datasets={"anchor": "Dataset421_Neck_Anchor", "small_hard": "Dataset424_Neck_SmallHard"},
    labels={"Brainstem": 1},
    num_folds=2,
    split_sha256="a",
    cases=("a", "b"),
    not_annotated={"a": ["Eye_L", "Eye_R"]},
)
SWAPPED = replace(
    HN42,
    organs=(replace(HN42.organs[0], label=HN42.organs[1].label), replace(HN42.organs[1], label=HN42.organs[0].label))
    + HN42.organs[2:],
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"profile": load_profile("openkbp7")}, "profile openkbp7 in place of hn42", id="profile"),
        pytest.param({"profile": HN42.in_one_tier()}, "other tiers of 21 organ.*--one-tier", id="one tier"),
        pytest.param({"profile": SWAPPED}, "other organs or labels in profile hn42", id="rows swapped"),
        pytest.param({"labels": {"Brainstem": 2}}, "other labels of the dataset's organs", id="numbers of the dataset"),
        pytest.param({"num_folds": 4, "split_sha256": "b"}, "4 folds in place of 2", id="folds"),
        pytest.param({"split_sha256": "b"}, "another split of the patients", id="split"),
        pytest.param({"cases": ("a", "c", "d"), "split_sha256": "b"}, "2 case.* more and 1 fewer", id="cases"),
        pytest.param({"patient_pattern": "^(.)"}, "patient pattern", id="pattern"),
        pytest.param({"datasets": {"anchor": BEFORE.datasets["anchor"]}}, "Dataset424.* left out", id="a branch less"),
        pytest.param({"datasets": {**BEFORE.datasets, "anchor": "x"}}, "Dataset421.* renamed", id="other ids"),
    ],
)
def test_contradictions_are_named(change, said):
    (found,) = changes(BEFORE, replace(BEFORE, **change))
    assert re.search(said, found)


@pytest.mark.parametrize("field", ["not_annotated", "empty"])
def test_other_organs_not_annotated_are_a_contradiction(field):
    after = replace(BEFORE, **{field: {"b": ["Larynx"]}})
    (found,) = changes_of_contours(BEFORE, after)
    assert found.startswith("other organs not annotated or empty in")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="the same"),
        pytest.param({"not_annotated": {"a": ["Eye_R", "Eye_L"]}}, id="the same in another order"),
        pytest.param({"datasets": {**BEFORE.datasets, "baseline": "Dataset425_Neck_Baseline"}}, id="a baseline more"),
        pytest.param({"profile": replace(HN42, description="other words")}, id="words of the profile"),
    ],
)
def test_what_still_holds_is_no_contradiction(change):
    after = replace(BEFORE, **change)
    assert changes(BEFORE, after) == [] and changes_of_contours(BEFORE, after) == []
    bare = replace(BEFORE, cases=(), split_sha256="", not_annotated={})  # an earlier version's record
    assert changes(bare, after) == [] and changes_of_contours(bare, after) == []


@pytest.fixture
def trained(nnunet_folders):
    """Folders with one trained fold, its manifest, a cross-validation, preprocessed cases and crops."""
    model = results_folder() / BEFORE.datasets["anchor"] / "SOARSAnchorTrainer__nnUNetPlans__3d_fullres"
    decided = results_folder() / BEFORE.source / "SOARS__nnUNetPlans"
    for path in (
        model / "fold_1" / "checkpoint_latest.pth",
        decided / "manifest.json",
        decided / "postprocessing.json",
        decided / "cross_validation" / "a.nii.gz",
        results_folder() / BEFORE.source / "BUNDLE__x" / "a.json",
        preprocessed_folder() / BEFORE.datasets["anchor"] / "soars_channels_nnUNetPlans" / "a.b2nd",
        raw_folder() / BEFORE.datasets["small_hard"] / "imagesTr" / "a.nii.gz",
        raw_folder() / BEFORE.source / "dataset.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return model


def test_trained_models_are_not_made_stale_by_accident(trained):
    assert trained_models(BEFORE) == [trained]
    require_nothing_trained(BEFORE, [], overwrite=False)
    require_nothing_trained(BEFORE, ["4 folds"], overwrite=True)
    with pytest.raises(
        InputError, match=r"got 4 folds; stale would be .*SOARSAnchorTrainer.*new id, or give --overwrite"
    ):
        require_nothing_trained(BEFORE, ["4 folds"], overwrite=False)
    (trained / "fold_1" / "checkpoint_latest.pth").unlink()
    require_nothing_trained(BEFORE, ["4 folds"], overwrite=False)


def test_nothing_is_trained_where_nobody_said_where(trained, monkeypatch):
    monkeypatch.delenv("nnUNet_results")
    assert trained_models(BEFORE) == []


def test_what_is_stale_cannot_be_used(trained):
    for times in (1, 2):
        lines = []
        set_aside(BEFORE, lines.append)
        assert len(lines) == (5 if times == 1 else 3) and all(line.startswith("stale, ") for line in lines)
        assert not trained.exists() and trained_models(BEFORE) == []
        assert list(results_folder().glob("Dataset*/SOARS__*/manifest.json")) == []
        aside = trained.parent / f"stale_{times}" / trained.name
        assert (aside / "fold_1" / "checkpoint_latest.pth").read_text() == "x", "weights are moved, not lost"
        assert not (preprocessed_folder() / BEFORE.datasets["anchor"]).exists()
        assert not (raw_folder() / BEFORE.datasets["small_hard"]).exists()
        assert (raw_folder() / BEFORE.source / "dataset.json").is_file()
        if times == 1:  # trained again, and made stale again
            for path in (trained / "fold_1" / "checkpoint_final.pth", trained / "fold_1" / "checkpoint_latest.pth"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("x")
            for name in ("SOARS__nnUNetPlans", "BUNDLE__x"):
                (results_folder() / BEFORE.source / name).mkdir()
