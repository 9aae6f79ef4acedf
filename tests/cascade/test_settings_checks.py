"""Settings of every regime and branch are taken."""

from dataclasses import replace

import pytest

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.settings_checks import SMALLER, check_settings
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.node import Node
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.settings.table import regimes


@pytest.mark.parametrize("regime", list(regimes()))
@pytest.mark.parametrize("key", ["anchor", "mid_level", "detection", "small_hard"])
def test_settings_of_a_regime_are_taken(tiny_bundle, regime, key):
    cascade = Bundle(tiny_bundle).described.cascade
    guidance = cascade.branches[key].guidance
    settings = replace(load_regime(regime, key), guidance=guidance)
    check_settings(Node(settings.to_json(), "x"), cascade.facts(key))


def test_limits_are_of_settings():
    assert set(SMALLER) <= set(BranchSettings.__dataclass_fields__)


def test_settings_of_an_older_version_are_taken(tiny_bundle):
    described = Bundle(tiny_bundle).described
    settings = PlansFile(described.branches["anchor"].plans).configuration["soars"]
    older = {name: value for name, value in settings.items() if name not in ("optimizer", "mirror", "sides", "reach")}
    check_settings(Node(older, "x"), described.cascade.facts("anchor"))
    with pytest.raises(MissingArtifactError, match="expected the keys branch"):
        check_settings(Node({}, "x"), described.cascade.facts("anchor"))


def test_sides_are_exchanged_with_each_other_alone(tiny_bundle):
    described = Bundle(tiny_bundle).described
    for key, name in (("anchor", "classes"), ("mid_level", "channels")):
        settings = PlansFile(described.branches[key].plans).configuration["soars"]
        order = settings["mirror"][name]
        assert order != sorted(order), "pairs are among them"
        same = {**settings, "mirror": {**settings["mirror"], name: sorted(order)}}
        with pytest.raises(
            MissingArtifactError, match=rf"mirror.{name}: expected (\w+) as the other side of (\w+), got"
        ):
            check_settings(Node(same, "x"), described.cascade.facts(key))


def test_sides_are_of_pairs_of_targets(tiny_bundle):
    described = Bundle(tiny_bundle).described
    settings = PlansFile(described.branches["detection"].plans).configuration["soars"]
    order = settings["mirror"]["classes"]
    row = next(index - 1 for index, partner in enumerate(order) if partner != index)
    for rows in ([row, order[row + 1] - 1], [order[row + 1] - 1, row]):
        check_settings(Node({**settings, "sides": [[[*rows, 50.0]]]}, "x"), described.cascade.facts("detection"))
    single = next(index - 1 for index, partner in enumerate(order) if index and partner == index)
    for rows in ([row, row], [single, single], [row, single]):
        odd = {**settings, "sides": [[[*rows, 50.0]]]}
        with pytest.raises(MissingArtifactError, match="sides.0.0: expected two targets that are each other's other"):
            check_settings(Node(odd, "x"), described.cascade.facts("detection"))
