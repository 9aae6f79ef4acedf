"""Plans of every branch are taken as soars-plan writes them; ``test_hostile.py`` has what is refused."""

from dataclasses import replace

import pytest

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.manifest_checks import BranchFacts
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.networks.plans_checks import NETWORK, check_dataset, check_plans
from soars_nnunet.schemas.node import Node

BRANCHES = ("anchor", "mid_level", "detection", "small_hard")


@pytest.mark.parametrize("key", BRANCHES)
def test_plans_of_a_branch_are_of_that_branch_alone(tiny_bundle, key):
    described = Bundle(tiny_bundle).described
    plans, dataset = described.branches[key].plans, described.branches[key].dataset
    check_plans(Node(plans, "x"), described.cascade.facts(key))
    check_dataset(Node(dataset, "x"), described.cascade.facts(key))
    for other in set(BRANCHES) - {key}:
        with pytest.raises(MissingArtifactError):
            check_plans(Node(plans, "x"), described.cascade.facts(other))
        with pytest.raises(MissingArtifactError):
            check_dataset(Node(dataset, "x"), described.cascade.facts(other))


def test_guidance_that_a_branch_of_the_ct_alone_does_not_read_may_be_in_its_raw_dataset():
    origin = {"branch": "detection", "source": "Dataset007_Neck", "guidance": ["Brainstem", "Eye_L"]}
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "Lens_L": 1}, "soars": origin}
    alone = BranchFacts("detection", (), ("Lens_L",))
    check_dataset(Node(dataset, "x"), alone)
    with pytest.raises(MissingArtifactError, match="channel_names"):
        check_dataset(Node(dataset, "x"), replace(alone, guidance=("Brainstem", "Eye_L")))
    for odd in ("Brainstem", [1], {"Brainstem": 1}):
        with pytest.raises(MissingArtifactError, match="guidance"):
            check_dataset(Node({**dataset, "soars": {**origin, "guidance": odd}}, "x"), alone)
    guided = {**dataset, "channel_names": {"0": "CT", "1": "noNorm"}}
    with pytest.raises(MissingArtifactError, match="guidance"):
        check_dataset(Node(guided, "x"), replace(alone, guidance=("Eye_R",)))


def test_the_network_is_named_as_it_is_called():
    assert f"{PHNN.__module__}.{PHNN.__name__}" == NETWORK
