"""What a manifest says of its origin."""

from dataclasses import replace

import pytest

from soars_nnunet.cascade.made_from import MadeFrom, made_from, stratification_hash
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.profile import load_profile

HN42 = load_profile("hn42")
CASCADE = Cascade("Dataset007_X", HN42, {"anchor": "Dataset071_X_Anchor"}, {"Brainstem": 1}, split_sha256="a")


def test_it_goes_to_json_and_back():
    there = MadeFrom("abc", {"mid_level": {"large": True}}, {"anchor": 0})
    assert MadeFrom.from_dict(there.to_json()) == there
    for damaged in ({}, {"stratification": "a", "tilings": None, "genotype_folds": {}}):
        with pytest.raises((KeyError, TypeError)):
            MadeFrom.from_dict(damaged)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"profile": load_profile("openkbp7")}, False, id="profile"),
        pytest.param({"profile": HN42.in_one_tier()}, False, id="tiers"),
        pytest.param({"labels": {"Brainstem": 2}}, False, id="labels"),
        pytest.param({"split_sha256": "b"}, False, id="split"),
        pytest.param({"not_annotated": {"a": ["Eye_L"]}}, False, id="not annotated"),
        pytest.param({"empty": {"a": ["Eye_L"]}}, False, id="empty"),
        pytest.param({"profile": replace(HN42, description="other words")}, True, id="words"),
        pytest.param({"datasets": {**CASCADE.datasets, "baseline": "Dataset075_X_Baseline"}}, True, id="a baseline"),
    ],
)
def test_the_hash_of_a_stratification_is_of_what_networks_depend_on(change, same):
    assert (stratification_hash(replace(CASCADE, **change)) == stratification_hash(CASCADE)) == same


def test_folds_of_searches_come_from_the_options_of_the_plans(nnunet_folders):
    assert made_from(CASCADE, DEFAULT_PLANS) == MadeFrom(stratification_hash(CASCADE))
    write_json(CASCADE.options(DEFAULT_PLANS), {"genotype_folds": {"anchor": 2}})
    assert made_from(CASCADE, DEFAULT_PLANS).genotype_folds == {"anchor": 2}
    write_json(CASCADE.options(DEFAULT_PLANS), {"regime": "demo"})
    assert made_from(CASCADE, DEFAULT_PLANS).genotype_folds == {}
