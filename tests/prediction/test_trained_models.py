"""Which organs are asked for, and the models that they need."""

from dataclasses import replace

import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.manifest import Manifest, ManifestBranch
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.trained_models import choose_organs, needed_branches
from soars_nnunet.profile import load_profile


def test_folds_can_be_chosen(untrained_cascade, image, prediction):
    one = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[1]))
    labels, report = one.predict(image)
    assert {key: row["folds"] for key, row in report["models"].items()} == dict.fromkeys(one.models, [1])
    assert (sitk.GetArrayFromImage(labels) != sitk.GetArrayFromImage(prediction[0])).any()
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[7\] are not trained"):
        CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[7]))


def test_fast_takes_one_fold_and_large_tiles(untrained_cascade, predictor):
    fast = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(fast=True))
    assert {tuple(model.folds) for model in fast.models.values()} == {(0,)}
    assert all(model.tiling.large for model in fast.models.values())
    assert all(not model.tiling.large and len(model.folds) == 2 for model in predictor.models.values())
    both = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[0, 1], fast=True))
    assert all(model.tiling.large and len(model.folds) == 2 for model in both.models.values())


def test_guided_branches_must_share_the_anchors_ct_unit(cascade_copy):
    path = cascade_copy.model("mid_level", DEFAULT_PLANS) / "plans.json"
    plans = read_json(path)
    plans["foreground_intensity_properties_per_channel"]["0"]["std"] = 1500.0
    write_json(path, plans)
    with pytest.raises(MissingArtifactError, match="mid_level works at .* 1500 HU a unit.*, its anchors at .* 150 HU"):
        CascadePredictor(cascade_copy.manifest(DEFAULT_PLANS))


def manifest_of(**classes):
    """Manifest of a cascade whose branches have these classes."""
    branches = {}
    for branch, names in classes.items():
        branches[branch] = ManifestBranch(model="", guidance=(), classes=names, training_patients=())
    return Manifest(
        source="Dataset007_Tiny",
        plans=DEFAULT_PLANS,
        profile=load_profile("hn42"),
        patient_pattern=None,
        branches=branches,
        targets={},
        provenance={},
    )


MANIFEST = manifest_of(
    anchor=("Brainstem", "Eye_L"), mid_level=("Parotid_L",), detection=("ear_l",), small_hard=("Cochlea_L",)
)


def test_organs_are_chosen_in_any_spelling_and_come_in_the_profiles_order():
    assert choose_organs(MANIFEST, ["left parotid", "brain stem", "Parotid_L"]) == ["Brainstem", "Parotid_L"]
    everything = choose_organs(MANIFEST, None)
    assert set(everything) == {"Brainstem", "Eye_L", "Parotid_L", "Cochlea_L"}, "targets are no organs"
    order = [organ.name for organ in MANIFEST.profile.organs]
    assert everything == sorted(everything, key=order.index)


@pytest.mark.parametrize(
    ("wanted", "named"),
    [(["Heart", "Brainstem", "spleen"], "got Heart, spleen"), (["Eye_R"], "got Eye_R"), ([], "none")],
)
def test_organs_that_the_cascade_lacks_are_named(wanted, named):
    with pytest.raises(InputError, match=f"organs: expected some of Brainstem, .*; .*{named}"):
        choose_organs(MANIFEST, wanted)


@pytest.mark.parametrize(
    ("organs", "branches"),
    [
        (["Brainstem"], {"anchor"}),
        (["Parotid_L", "Eye_L"], {"anchor", "mid_level"}),
        (["Cochlea_L"], {"anchor", "detection", "small_hard"}),
    ],
)
def test_organs_need_the_branches_that_guide_theirs(organs, branches):
    assert needed_branches(MANIFEST.profile, organs) == branches


@pytest.mark.parametrize(
    ("missing", "text"), [("anchor", "no anchor branch"), ("small_hard", "no small & hard branch")]
)
def test_a_cascade_without_a_branch_that_others_need_is_refused(cascade_copy, missing, text):
    path = cascade_copy.manifest(DEFAULT_PLANS)
    manifest = Manifest.load(path)
    branches = {key: branch for key, branch in manifest.branches.items() if key != missing}
    replace(manifest, branches=branches).write(path)
    with pytest.raises(MissingArtifactError, match=text):
        CascadePredictor(path)
