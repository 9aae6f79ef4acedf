"""Guided branches are planned from complete output of the present models, and wait for it until then."""

from dataclasses import replace

import pytest
from conftest import OPTIONS

from soars_nnunet.cascade.record import DEFAULT_PLANS, GUIDANCE_FACTS, TARGET_FACTS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.guidance.crops import detection_of_crops
from soars_nnunet.planning.inputs import Guide, Inputs, find_inputs
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.plan import plan
from soars_nnunet.prediction.tiling import Tiling


def test_in_sample_plans_wait_for_in_sample_channels(cascade_copy):
    lines = []
    with pytest.raises(InputError, match="no branch could be planned"):
        plan(cascade_copy, replace(OPTIONS, guidance="in-sample", plans_name="InSample"), ["mid_level"], lines.append)
    assert "soars-channels -d Dataset007_Tiny --in-sample" in lines[0]


@pytest.mark.parametrize("fact", GUIDANCE_FACTS)
def test_guided_branches_are_not_planned_on_output_of_other_models_cases_or_versions(cascade_copy, fact):
    path = cascade_copy.channels("anchor", DEFAULT_PLANS) / "provenance.json"
    plan(cascade_copy, OPTIONS, ["mid_level"])
    write_json(path, {**read_json(path), fact: "another", "tiling": {"step_size": 0.25, "everywhere": True}})
    with pytest.raises(
        MissingArtifactError, match="rerun: soars-channels -d Dataset007_Tiny --tiling everywhere --step"
    ):
        plan(cascade_copy, OPTIONS, ["mid_level"])
    path = cascade_copy.channels("detection", DEFAULT_PLANS) / "provenance.json"
    before = detection_of_crops(cascade_copy, DEFAULT_PLANS)
    write_json(path, {**read_json(path), fact: "another"})
    assert detection_of_crops(cascade_copy, DEFAULT_PLANS) != before


def test_branches_that_nothing_guides_need_no_inputs(untrained_cascade):
    everything = replace(untrained_cascade, datasets={**untrained_cascade.datasets, "baseline": "Dataset075_Baseline"})
    assert find_inputs(everything, "anchor", PlanOptions()) == Inputs()
    assert find_inputs(everything, "baseline", PlanOptions()) == Inputs()
    assert find_inputs(everything, "mid_level", PlanOptions(guidance="none")) == Inputs()


def test_channels_are_those_of_the_guide_and_crops_have_them_in_their_files(untrained_cascade):
    anchors = untrained_cascade.channels("anchor", DEFAULT_PLANS)
    for branch in ("mid_level", "detection"):
        assert find_inputs(untrained_cascade, branch, PlanOptions()) == Inputs(channels=anchors)
    assert find_inputs(untrained_cascade, "small_hard", PlanOptions()) == Inputs()


def test_a_guided_branch_waits_until_its_dataset_has_the_guides_channels(cascade_copy):
    """Of all the guide's classes: the last file is written once all are there."""
    (cascade_copy.channels("detection", DEFAULT_PLANS) / TARGET_FACTS).unlink()
    missing = find_inputs(cascade_copy, "small_hard", PlanOptions(guidance="none")).missing
    assert missing == "out-of-fold output of Detection: train all its folds, then run soars-channels -d Dataset007_Tiny"
    path = cascade_copy.raw("mid_level") / "dataset.json"
    dataset_json = read_json(path)
    dataset_json["soars"]["guidance"].pop()
    write_json(path, dataset_json)
    waiting = find_inputs(cascade_copy, "mid_level", PlanOptions())
    assert waiting.channels is None and "output of Anchor: train all its folds" in waiting.missing
    (cascade_copy.channels("anchor", DEFAULT_PLANS) / "provenance.json").unlink()
    assert "output of Anchor" in find_inputs(cascade_copy, "detection", PlanOptions()).missing


def test_a_guides_command_makes_its_output_as_it_was_made(tmp_path):
    guide = Guide(key="anchor", plans=DEFAULT_PLANS, channels=tmp_path, in_sample=False, dataset="Dataset007_Tiny")
    write_json(tmp_path / "provenance.json", {})
    assert guide.command() == "soars-channels -d Dataset007_Tiny"
    write_json(tmp_path / "provenance.json", {"tiling": Tiling("everywhere", step_size=0.25).to_json()})
    variant = replace(guide, plans="Other", in_sample=True)
    options = "--in-sample --plans-name Other --tiling everywhere --step-size 0.25"
    assert variant.command() == f"soars-channels -d Dataset007_Tiny {options}"
