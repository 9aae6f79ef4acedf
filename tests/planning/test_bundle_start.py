"""What is taken from a bundle, and what is refused."""

from dataclasses import replace

import pytest
from bundles.fixtures import REQUEST, exchange_names

from soars_nnunet.branches import BRANCHES
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.write import write_bundle
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.planning.bundle_start import lasting_name, take_branches
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.sizes import NetworkSize
from soars_nnunet.settings.regime import load_regime

ANCHOR, MID_LEVEL, DETECTION, SMALL_HARD, BASELINE = (
    BRANCHES[key] for key in ("anchor", "mid_level", "detection", "small_hard", "baseline")
)
OWN_SIZE = NetworkSize((8, 8, 8), ((1, 1, 1),) * 4, "patch of the data")


def choose(bundle, **changes):
    return PlanOptions(regime="demo", from_bundle=str(bundle), **changes)


@pytest.fixture
def strangers(cascade_copy):
    """The tiny cascade with patients whom no bundle has seen."""
    path = cascade_copy.preprocessed("anchor") / "splits_final.json"
    splits = []
    for split in read_json(path):
        splits.append({part: [f"new_{case}" for case in cases] for part, cases in split.items()})
    write_json(path, splits)
    return replace(cascade_copy, cases=tuple(f"new_{case}" for case in cascade_copy.cases))


def edit_manifest(bundle, edit):
    data = read_json(bundle / "manifest.json")
    edit(data)
    write_json(bundle / "manifest.json", data)


def only_anchors(data):
    """The anchors alone, as in a bundle of one tier; the other branches' files go too."""
    for key in ("mid_level", "detection", "small_hard"):
        del data["branches"][key], data["cascade"]["branches"][key]
    data["cascade"]["targets"] = {}
    data["files"] = {name: file for name, file in data["files"].items() if name.startswith(("anchor", "card"))}


@pytest.fixture
def anchor_bundle(bundle_copy):
    edit_manifest(bundle_copy, only_anchors)
    for path in bundle_copy.glob("*.safetensors"):
        if not path.name.startswith("anchor"):
            path.unlink()
    return bundle_copy


def test_without_a_bundle_nothing_is_taken(strangers):
    assert take_branches(strangers, [ANCHOR], PlanOptions()) == {}


def test_every_branch_takes_that_of_its_own_key(strangers, tiny_bundle):
    taken = take_branches(strangers, [ANCHOR, MID_LEVEL, DETECTION, SMALL_HARD], choose(tiny_bundle))
    assert [one.source for one in taken.values()] == list(taken)
    assert {one.folds for one in taken.values()} == {(0, 1)}
    theirs = load_regime("demo", "anchor", ["features_per_stage=[4,4,8,8]", "n_convs_per_stage=[1,1,1,1]"])
    own = load_regime("demo", "anchor", ["hu_per_unit=77", "low_pass_ratio=null", "num_epochs=9"])
    found = taken["anchor"].settings(own, ())
    assert found == replace(theirs, num_epochs=9, initial_lr=0.001)
    assert taken["anchor"].spacing_mm == (9, 8, 8) and taken["small_hard"].spacing_mm == (6, 5, 5)


def test_the_patch_is_the_bundles_unless_the_user_names_one_or_vois_have_to_fit(strangers, tiny_bundle):
    taken = take_branches(strangers, [ANCHOR, SMALL_HARD], choose(tiny_bundle))
    configuration = open_bundle(tiny_bundle).branch("anchor").plans["configurations"]["3d_fullres"]
    size = taken["anchor"].size(OWN_SIZE, "anchor", ["mid_level.max_patch_mm=80"])
    assert list(size.patch) == configuration["patch_size"] and "as in tiny" in size.reason
    assert [list(stride) for stride in size.strides] == configuration["architecture"]["arch_kwargs"]["strides"]
    for key, overrides in (("anchor", ["max_patch_mm=80"]), ("small_hard", [])):
        named = taken[key].size(OWN_SIZE, key, overrides)
        assert named.patch == OWN_SIZE.patch and named.strides != OWN_SIZE.strides


def test_without_their_own_branch_some_start_from_anchors_that_know_their_organs(strangers, anchor_bundle):
    branches = [ANCHOR, MID_LEVEL, DETECTION, SMALL_HARD, BASELINE]
    taken = take_branches(strangers, branches, choose(anchor_bundle))
    assert {key: (one.source, bool(one.folds)) for key, one in taken.items()} == {
        "anchor": ("anchor", True),
        "mid_level": ("anchor", False),  # hn42's anchors are no mid-level organs
        "detection": ("anchor", False),
        "baseline": ("anchor", True),
    }
    own = load_regime("demo", "detection", ["hu_per_unit=77"])
    assert taken["detection"].settings(own, ()) == load_regime("demo", "detection")

    exchange_names(anchor_bundle, "Cerebellum", "Epiglottis")
    assert take_branches(strangers, [MID_LEVEL], choose(anchor_bundle))["mid_level"].folds == (0, 1)


def test_every_contradiction_is_named_at_once(strangers, tiny_bundle):
    options = choose(
        tiny_bundle,
        spacing_mm=(9.0, 8.0, 8.1),
        small_hard_spacing_mm=(6.0, 5.0, 5.00001),
        overrides=("features_per_stage=[4,4,8,16]", "anchor.hu_per_unit=150", "anchor.low_pass_ratio=null"),
        genotypes={"anchor": ["3D3"] * 4, "small_hard": ["2D3", "3D5", "2D3", "3D5"]},
    )
    with pytest.raises(InputError) as error:
        take_branches(strangers, [ANCHOR, SMALL_HARD], options)
    text = str(error.value)
    assert text.startswith("--from-bundle tiny contradicts other options")
    assert "--spacing for anchor: expected 9 8 8, got 9 8 8.1" in text
    assert "--genotype for anchor: expected 2D3 2D5 2D3 3D5, got 3D3 3D3 3D3 3D3" in text
    assert "--set anchor.features_per_stage: expected [4, 4, 8, 8], got [4, 4, 8, 16]" in text
    assert (
        "--set small_hard.features_per_stage" in text and "--set anchor.low_pass_ratio: expected 1.5, got null" in text
    )
    assert "hu_per_unit" not in text and "--small-hard-spacing" not in text and "for small_hard" not in text


def test_a_branch_from_scratch_may_have_its_own_architecture_but_not_its_own_grid(strangers, anchor_bundle):
    own = choose(anchor_bundle, overrides=("detection.features_per_stage=[2,2,2,2]",))
    assert not take_branches(strangers, [DETECTION], own)["detection"].folds
    with pytest.raises(InputError, match="--spacing for detection: expected 9 8 8, got 3 3 3"):
        take_branches(strangers, [DETECTION], replace(own, spacing_mm=(3.0, 3.0, 3.0)))


def test_folds_go_round_where_the_bundle_has_fewer(strangers, untrained_cascade, tmp_path):
    folder = tmp_path / "one"
    trained = TrainedCascade(untrained_cascade.manifest(DEFAULT_PLANS))
    write_bundle(trained, folder, replace(REQUEST, folds=[1]))
    assert take_branches(strangers, [ANCHOR], choose(folder))["anchor"].folds == (1, 1)


def test_a_fold_that_trained_on_patients_who_validate_is_passed_over_or_refused(cascade_copy, tiny_bundle):
    """The bundle is of the same patients and split: fold 0 has not seen those that validate fold 0."""
    assert take_branches(cascade_copy, [ANCHOR], choose(tiny_bundle))["anchor"].folds == (0, 1)
    path = cascade_copy.preprocessed("anchor") / "splits_final.json"
    splits = read_json(path)
    write_json(path, splits[::-1])
    assert take_branches(cascade_copy, [ANCHOR], choose(tiny_bundle))["anchor"].folds == (1, 0)
    both = splits[0]["val"] + splits[1]["val"][:1]
    rest = [case for case in splits[0]["train"] if case not in both]
    write_json(path, [{"train": rest, "val": both}, splits[1]])
    with pytest.raises(InputError, match="validation patients that it did not train on, got 1 of 3 of fold 0"):
        take_branches(cascade_copy, [ANCHOR], choose(tiny_bundle))


def test_patients_are_found_by_the_bundles_pattern_too(cascade_copy, bundle_copy):
    """Another scan of a patient has another name, in which only the bundle's pattern finds the patient."""

    def find_scans(data):
        data["cascade"]["patient_pattern"] = r"^(.+)_scan\d$"
        for branch in data["branches"].values():
            branch["plans"]["configurations"]["3d_fullres"]["soars"]["patient_pattern"] = r"^(.+)_scan\d$"

    edit_manifest(bundle_copy, find_scans)
    path = cascade_copy.preprocessed("anchor") / "splits_final.json"
    scans = []
    for split in read_json(path)[::-1]:
        scans.append({part: [f"{case}_scan2" for case in cases] for part, cases in split.items()})
    write_json(path, scans)
    of_scans = replace(cascade_copy, cases=tuple(f"{case}_scan2" for case in cascade_copy.cases))
    assert take_branches(of_scans, [ANCHOR], choose(bundle_copy))["anchor"].folds == (1, 0)


def test_what_the_bundles_own_first_weights_saw_counts(strangers, bundle_copy):
    validated = name_hashes(strangers.splits()[0]["val"])

    def start_from_another(data):
        before = {"bundle": "other", "sha256": "ab" * 32, "patients": [validated, validated]}
        data["cascade"]["branches"]["anchor"]["started_from"] = before

    edit_manifest(bundle_copy, start_from_another)
    with pytest.raises(InputError, match="got 2 of 2 of fold 0 "):
        take_branches(strangers, [ANCHOR], choose(bundle_copy))


def test_a_bundle_is_remembered_by_its_name_or_its_absolute_path(tiny_bundle, monkeypatch):
    monkeypatch.setenv("SOARS_BUNDLES", str(tiny_bundle.parent))
    assert lasting_name("tiny") == "tiny"
    monkeypatch.setenv("SOARS_BUNDLES", str(tiny_bundle / "none"))
    monkeypatch.chdir(tiny_bundle.parent)
    assert lasting_name("./tiny") == str(tiny_bundle)
    with pytest.raises(MissingArtifactError, match="no bundle 'tiniest'"):
        lasting_name("tiniest")
