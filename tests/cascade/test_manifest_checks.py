"""The cascade of a bundle is the one that was stratified."""

import pytest

from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.manifest_checks import check_cascade
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.node import Node


def cascade_manifest(node):
    check_cascade(node, stored=False)
    return Manifest.from_dict(node.value)


@pytest.fixture
def data(tiny_bundle):
    return read_json(tiny_bundle / "manifest.json")["cascade"]


def test_it_is_the_trainings_manifest_without_folders(data, untrained_cascade):
    trained = Manifest.load(untrained_cascade.manifest(DEFAULT_PLANS))
    found = cascade_manifest(Node(data, "x"))
    assert found.fingerprint == trained.fingerprint and found.targets == trained.targets
    for key, branch in trained.branches.items():
        assert found.branches[key].model == ""
        assert found.branches[key].classes == branch.classes
        assert found.trained_on(key, [0]) == trained.trained_on(key, [0])


def test_a_cascade_of_anchors_alone_is_one(data):
    data["branches"] = {"anchor": data["branches"]["anchor"]}
    data["targets"] = {}
    assert list(cascade_manifest(Node(data, "x")).branches) == ["anchor"]


def test_facts_of_a_target_that_nobody_detects_are_refused(data):
    data["targets"]["nose"] = next(iter(data["targets"].values()))
    with pytest.raises(MissingArtifactError, match="targets: expected known keys alone, got also nose"):
        cascade_manifest(Node(data, "x"))


def test_the_bundle_that_a_branch_started_from_is_known(data):
    data["branches"]["anchor"]["started_from"] = {"bundle": "other", "sha256": "ab" * 32, "patients": [["cd" * 8], []]}
    manifest = cascade_manifest(Node(data, "x"))
    assert manifest.branches["anchor"].started_from.bundle == "other"
    assert "cd" * 8 in manifest.trained_on("anchor", [0]) - manifest.trained_on("anchor", [1])
    assert manifest.branches["detection"].started_from is None


@pytest.mark.parametrize(
    "wrong",
    [{"bundle": "../other"}, {"sha256": "ab"}, {"patients": [["Mr. X"]]}, {"patients": []}, {"path": "/home"}],
)
def test_a_start_that_is_none_is_refused(data, wrong):
    start = {"bundle": "other", "sha256": "ab" * 32, "patients": [["cd" * 8]], **wrong}
    data["branches"]["anchor"]["started_from"] = start
    with pytest.raises(MissingArtifactError, match="x, branches.anchor.started_from"):
        cascade_manifest(Node(data, "x"))
