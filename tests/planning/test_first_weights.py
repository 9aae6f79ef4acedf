"""Files of first weights, and what plans and manifest say of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bundles.fixtures import exchange_names
from safetensors.torch import load_file

from soars_nnunet.branches import BRANCHES
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.networks.transfer import FIRST_CONVOLUTION
from soars_nnunet.planning.bundle_start import take_branches
from soars_nnunet.planning.first_weights import describe_scratch, describe_start, write_first_weights
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.plan import plan

OPTIONS = PlanOptions(
    regime="demo", plans_name="Started", overrides=("num_epochs=1", "iterations_per_epoch=1"), num_processes=1
)
FIRST_SCORES = "score_convs.0.weight"


@pytest.fixture
def options(strange_bundle):
    return replace(OPTIONS, from_bundle=str(strange_bundle))


def written(cascade, options, branch):
    """First weights without a whole plan: the start, its line, and the weights of every fold."""
    taken = take_branches(cascade, [BRANCHES[branch]], options)[branch]
    plans = {**taken.plans.contents, "plans_name": options.plans_name}
    settings = taken.plans.settings
    classes = [name for name, _ in branch_labels(cascade, branch)]
    start = write_first_weights(cascade, taken, plans, settings=settings, classes=classes)
    weights = [load_file(cascade.preprocessed(branch) / one.file) for one in start.folds]
    return start, describe_start(start, taken, settings), weights


def test_planned_branches_start_from_the_bundles_own_weights(cascade_copy, options):
    said = []
    assert plan(cascade_copy, options, ["anchor"], said.append) == ["anchor"]
    plans = PlansFile.read(cascade_copy.plans("anchor", "Started"))
    bundle = open_bundle(options.from_bundle)
    theirs = PlansFile(bundle.branch("anchor").plans)
    for key in ("architecture", "patch_size", "spacing"):
        assert plans.configuration[key] == theirs.configuration[key]
    assert plans.grid_and_units == theirs.grid_and_units
    start = plans.settings.start
    assert (start.bundle, start.sha256, start.added) == ("tiny", bundle.bundle.sha256, ())
    for fold, first in enumerate(start.folds):
        path = cascade_copy.first_weights("anchor", "Started", fold)
        assert (first.file, first.sha256, first.fold) == (path.name, file_hash(path), fold)
        found, expected = load_file(path), bundle.branch("anchor").weights(fold)
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    (line,) = [line for line in said if "weights of" in line]
    assert line == "Anchor: weights of tiny, folds 0 1: 9 of 9 organs kept; initial_lr 0.001"
    assert any("as in tiny" in line for line in said)


def test_the_manifest_says_where_a_branch_started_and_whom_its_weights_have_seen(cascade_copy, options):
    plan(cascade_copy, options, ["anchor"])
    manifest = Manifest.load(cascade_copy.manifest("Started"))
    anchor = manifest.branches["anchor"]
    assert anchor.started_from.bundle == "tiny"
    assert anchor.training_patients[0] == tuple(name_hashes(cascade_copy.splits()[0]["train"]))
    assert set(name_hashes(["stranger_1"])) <= manifest.trained_on("anchor", [1])
    assert manifest.branches["mid_level"].started_from is None  # of other plans


def test_planning_again_gives_the_same_plans(cascade_copy, options, strange_bundle):
    exchange_names(strange_bundle, "Cerebellum", "Little_Brain")
    plan(cascade_copy, options, ["anchor"])
    before = cascade_copy.plans("anchor", "Started").read_bytes()
    torch.manual_seed(99)
    plan(cascade_copy, options, ["anchor"])
    assert cascade_copy.plans("anchor", "Started").read_bytes() == before
    torch.manual_seed(99)
    expected = torch.rand(1)
    torch.manual_seed(99)
    plan(cascade_copy, options, ["anchor"])
    assert torch.equal(torch.rand(1), expected)  # the user's own random numbers are not used up


def test_organs_that_only_one_of_them_knows_are_new_or_left_out(cascade_copy, options, strange_bundle):
    exchange_names(strange_bundle, "Cerebellum", "Little_Brain")
    labels = {name: label for name, label in cascade_copy.labels.items() if name != "Eye_L"}
    start, line, weights = written(replace(cascade_copy, labels=labels), options, "anchor")
    assert start.added == ("Cerebellum",) and len(start.kept) == 7
    assert line == (
        "weights of tiny, folds 0 1: 7 of 8 organs by name, 1 new: Cerebellum; without Little_Brain, Eye_L; "
        "initial_lr 0.01"
    )
    bundle = open_bundle(strange_bundle)
    old_classes = ["background", *bundle.manifest.branches["anchor"].classes]
    old = bundle.branch("anchor").weights(0)[FIRST_SCORES]
    classes = ["background", *(name for name, _ in branch_labels(replace(cascade_copy, labels=labels), "anchor"))]
    assert len(weights[0][FIRST_SCORES]) == len(classes) == 9
    for row, name in enumerate(classes):
        if name != "Cerebellum":
            assert torch.equal(weights[0][FIRST_SCORES][row], old[old_classes.index(name)])
    fresh = [of_fold[FIRST_SCORES][classes.index("Cerebellum")] for of_fold in weights]
    assert not torch.equal(fresh[0], fresh[1]) and 0 < fresh[0].std() < 0.03


def test_mid_level_organs_from_anchors_get_new_guidance_channels(cascade_copy, options, strange_bundle):
    exchange_names(strange_bundle, "Cerebellum", "Epiglottis")
    data = read_json(strange_bundle / "manifest.json")
    for part in (data["branches"], data["cascade"]["branches"]):
        del part["mid_level"]
    for fold in range(2):
        del data["files"][f"mid_level_fold_{fold}.safetensors"]
        (strange_bundle / f"mid_level_fold_{fold}.safetensors").unlink()
    write_json(strange_bundle / "manifest.json", data)
    said = []
    options = replace(options, guidance="none")
    plan(cascade_copy, options, ["mid_level"], said.append)
    settings = PlansFile.read(cascade_copy.plans("mid_level", "Started")).settings
    assert (settings.start.branch, settings.start.kept) == ("anchor", ("Epiglottis",))
    assert any(
        line.startswith("MidLevel: weights of tiny's Anchor, folds 0 1: 1 of 21 organs by name") for line in said
    )
    plan(cascade_copy, replace(options, guidance="anchor", plans_name="nnUNetPlans"), ["mid_level"], said.append)
    settings = PlansFile.read(cascade_copy.plans("mid_level", "nnUNetPlans")).settings
    found = load_file(cascade_copy.preprocessed("mid_level") / settings.start.folds[1].file)[FIRST_CONVOLUTION]
    old = open_bundle(strange_bundle).branch("anchor").weights(1)[FIRST_CONVOLUTION]
    assert found.shape[1] == 10 and torch.equal(found[:, :1], old)
    he = np.sqrt(2 / found[0].numel())
    assert 0.7 * he < found[:, 1:].std() < 1.3 * he
    assert any("; 9 of 9 guidance channels new; " in line for line in said)


def test_targets_are_kept_as_organs_are(cascade_copy, options):
    start, line, weights = written(cascade_copy, options, "detection")
    assert line == "weights of tiny, folds 0 1: 10 of 10 targets kept; initial_lr 0.01"
    old = open_bundle(options.from_bundle).branch("detection").weights(1)
    assert all(torch.equal(weights[1][name], old[name]) for name in old)


def test_what_starts_from_scratch_says_why_and_on_which_grid(cascade_copy, options):
    taken = take_branches(cascade_copy, [BRANCHES["anchor"]], options)["anchor"]
    assert describe_scratch(replace(taken, folds=()), "/models/tiny", "detection") == (
        "starts from scratch: tiny has no Detection; on the grid of its anchors, "
        "9 x 8 x 8 mm and 150 HU a unit, with a low pass from 1.5 times finer"
    )
    assert describe_scratch(None, "openkbp7", "small_hard") == "starts from scratch: openkbp7 has no SmallHard"
