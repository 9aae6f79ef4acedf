"""The manifest of a trained cascade: what it says, what is refused, where it is found."""

import shutil
from dataclasses import replace

import pytest

from soars_nnunet.anatomy.facts import AnatomyFacts, OrganFacts, Position
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.manifest import (
    Manifest,
    ManifestBranch,
    StartedFrom,
    find_manifest,
    locate_manifest,
    write_manifest,
)
from soars_nnunet.cascade.record import DEFAULT_PLANS, MANIFEST
from soars_nnunet.cascade.storage import json_hash, read_json, write_json
from soars_nnunet.cascade.target_facts import TargetFacts
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.profile import load_profile

AA, BB, CC, DD, EE, FF = (two * 8 for two in ("aa", "bb", "cc", "dd", "ee", "ff"))
"""Hashes of patients."""


@pytest.fixture
def manifest():
    branch = ManifestBranch(
        model="../../Dataset071_Neck_Anchor/SOARSAnchorTrainer__nnUNetPlans__3d_fullres",
        guidance=(),
        classes=("Brainstem", "SpinalCord"),
        training_patients=((AA, BB), (BB, CC)),
    )
    facts = TargetFacts(size_mm=(30.0, 20.5, 10.0), low_confidence_below=0.25, mean_error_mm=2.5, missed=1, cases=7)
    return Manifest(
        source="Dataset007_Neck",
        plans=DEFAULT_PLANS,
        profile=load_profile("hn42"),
        patient_pattern="(p..)",
        branches={"anchor": branch},
        targets={"Pituitary": facts},
        provenance={"soars_nnunet": "1"},
    )


def test_a_written_manifest_is_read_back(manifest, tmp_path):
    manifest.write(tmp_path / MANIFEST)
    assert Manifest.load(tmp_path / MANIFEST) == manifest
    data = read_json(tmp_path / MANIFEST)
    assert list(data) == ["source", "plans", "profile", "patient_pattern", "branches", "targets", "provenance"]
    assert list(data["branches"]["anchor"]) == ["model", "guidance", "classes", "training_patients"]
    assert data["targets"]["Pituitary"]["size_mm"] == [30.0, 20.5, 10.0]


def test_what_was_learnt_of_anatomy_is_read_back_and_changes_no_fingerprint(manifest, tmp_path):
    organ = OrganFacts(7, Position(-12.5, 3.0), Position(4.0, 0.5), (1.0, 1.5, 2.0, 3.0, 4.25))
    known = replace(manifest, anatomy=AnatomyFacts({"Brainstem": organ}))
    known.write(tmp_path / MANIFEST)
    assert Manifest.load(tmp_path / MANIFEST) == known
    assert read_json(tmp_path / MANIFEST)["anatomy"]["Brainstem"]["volume_ml"] == [1.0, 1.5, 2.0, 3.0, 4.25]
    assert known.fingerprint == manifest.fingerprint, "finished predictions stay finished"


def test_the_fingerprint_is_that_of_profile_and_targets_in_the_file(manifest, tmp_path):
    manifest.write(tmp_path / MANIFEST)
    data = read_json(tmp_path / MANIFEST)
    assert manifest.fingerprint == json_hash({key: data[key] for key in ("profile", "targets")})
    lower = replace(manifest.targets["Pituitary"], low_confidence_below=0.2)
    assert replace(manifest, targets={"Pituitary": lower}).fingerprint != manifest.fingerprint
    assert replace(manifest, plans="other", provenance={}).fingerprint == manifest.fingerprint


@pytest.mark.parametrize(("folds", "expected"), [([0], {AA, BB}), ([1], {BB, CC}), ([0, 1], {AA, BB, CC}), ([2], None)])
def test_patients_of_the_folds_that_were_trained(manifest, folds, expected):
    """A fold beyond the split is one of nnU-Net's own: it may have seen anybody."""
    assert manifest.trained_on("anchor", folds) == (expected or {AA, BB, CC})


def test_patients_of_the_first_weights_were_trained_on_too(manifest, tmp_path):
    before = StartedFrom("openkbp7", "ab" * 32, ((DD,), (EE, FF)))
    branch = replace(manifest.branches["anchor"], started_from=before)
    started = replace(manifest, branches={"anchor": branch})
    assert started.trained_on("anchor", [1]) == {BB, CC, EE, FF}
    assert started.trained_on("anchor", [2]) == {AA, BB, CC, DD, EE, FF}
    started.write(tmp_path / MANIFEST)
    assert Manifest.load(tmp_path / MANIFEST) == started
    assert read_json(tmp_path / MANIFEST)["branches"]["anchor"]["started_from"]["bundle"] == "openkbp7"


def test_manifests_without_the_later_keys_load(manifest, tmp_path):
    manifest.write(tmp_path / MANIFEST)
    data = read_json(tmp_path / MANIFEST)
    for key in ("patient_pattern", "provenance", "source", "plans"):
        del data[key]
    write_json(tmp_path / MANIFEST, data)
    old = Manifest.load(tmp_path / MANIFEST)
    assert (old.patient_pattern, old.branches, old.targets) == (None, manifest.branches, manifest.targets)


@pytest.mark.parametrize("damage", ["list", "no targets", "branches", "branch", "target", "profile"])
def test_other_json_is_refused(manifest, tmp_path, damage):
    path = tmp_path / MANIFEST
    manifest.write(path)
    data = read_json(path)
    if damage == "list":
        data = [data]
    elif damage == "no targets":
        del data["targets"]
    elif damage == "branches":
        data["branches"] = ["anchor"]
    elif damage == "branch":
        del data["branches"]["anchor"]["classes"]
    elif damage == "target":
        data["targets"]["Pituitary"] = 3
    else:
        data["profile"] = {}
    write_json(path, data)
    with pytest.raises(ValueError, match="manifest.json.*expected"):
        Manifest.load(path)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(MissingArtifactError, match="manifest.json, found none"):
        Manifest.load(tmp_path / MANIFEST)


def test_every_planned_branch_is_described(cascade_copy):
    path = cascade_copy.manifest(DEFAULT_PLANS)
    before = read_json(path)
    before.pop("anatomy", None)  # soars-plan learns it
    path.unlink()
    assert write_manifest(cascade_copy, DEFAULT_PLANS) == path
    assert read_json(path) == before
    made = Manifest.load(path)
    assert list(made.branches) == ["anchor", "mid_level", "detection", "small_hard"]
    assert made.branches["mid_level"].guidance == made.branches["anchor"].classes
    assert set(made.targets) == set(made.branches["detection"].classes)
    for key, branch in made.branches.items():
        assert (path.parent / branch.model).resolve() == cascade_copy.model(key, DEFAULT_PLANS).resolve()
        expected = [tuple(name_hashes(split["train"])) for split in cascade_copy.splits()]
        assert list(branch.training_patients) == expected
    cascade_copy.plans("small_hard", DEFAULT_PLANS).unlink()
    write_manifest(cascade_copy, DEFAULT_PLANS)
    assert "small_hard" not in Manifest.load(path).branches


def test_a_cascade_is_trained_once_every_branch_has_a_fold(cascade_copy):
    path = cascade_copy.manifest(DEFAULT_PLANS)
    results = path.parents[2]
    assert find_manifest(results) == path
    shutil.copytree(path.parent, path.parent.with_name("SOARS__other"))
    with pytest.raises(MissingArtifactError, match=r"found Dataset007_Tiny.*, Dataset007_Tiny.SOARS__other"):
        find_manifest(results)
    shutil.rmtree(path.parent.with_name("SOARS__other"))
    shutil.rmtree(cascade_copy.model("detection", DEFAULT_PLANS))
    with pytest.raises(MissingArtifactError, match="found none"):
        find_manifest(results)


def test_a_manifest_of_another_form_hides_no_trained_cascade(cascade_copy):
    results = cascade_copy.manifest(DEFAULT_PLANS).parents[2]
    write_json(results / "Dataset001_Old" / "SOARS__Old" / "manifest.json", {"branches": {"anchor": {"model": "none"}}})
    write_json(results / "Dataset002_Old" / "SOARS__Old" / "manifest.json", ["branches"])
    write_json(results / "Dataset003_Old" / "SOARS__Old" / "manifest.json", {"branches": {"anchor": ["model"]}})
    assert find_manifest(results) == cascade_copy.manifest(DEFAULT_PLANS)


def test_the_only_trained_cascade_is_found(untrained_cascade, tmp_path):
    results = untrained_cascade.manifest(DEFAULT_PLANS).parents[2]
    assert find_manifest(results) == untrained_cascade.manifest(DEFAULT_PLANS)
    with pytest.raises(MissingArtifactError, match="found none"):
        find_manifest(tmp_path)


def test_the_manifest_is_located_or_its_absence_explained(untrained_cascade, tmp_path):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    assert locate_manifest(None, None, DEFAULT_PLANS) == manifest
    assert locate_manifest("7", None, DEFAULT_PLANS) == manifest
    with pytest.raises(MissingArtifactError, match="expected a cascade's folder with manifest.json"):
        locate_manifest(None, tmp_path, DEFAULT_PLANS)
    with pytest.raises(MissingArtifactError, match="soars-plan -d 7"):
        locate_manifest("7", None, "otherPlans")
