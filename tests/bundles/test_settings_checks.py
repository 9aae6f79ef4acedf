"""Settings of every regime and branch are taken."""

from dataclasses import replace

import pytest

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.node import Node
from soars_nnunet.bundles.settings_checks import SMALLER, check_settings
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.settings.table import regimes


@pytest.mark.parametrize("regime", list(regimes()))
@pytest.mark.parametrize("key", ["anchor", "mid_level", "detection", "small_hard"])
def test_settings_of_a_regime_are_taken(tiny_bundle, regime, key):
    cascade = Bundle(tiny_bundle).described.cascade
    guidance = cascade.branches[key].guidance
    settings = replace(load_regime(regime, key), guidance=guidance)
    check_settings(Node(settings.to_json(), "x"), key, cascade)


def test_limits_are_of_settings():
    assert set(SMALLER) <= set(BranchSettings.__dataclass_fields__)


def test_settings_of_an_older_version_are_taken(tiny_bundle):
    described = Bundle(tiny_bundle).described
    settings = PlansFile(described.branches["anchor"].plans).configuration["soars"]
    older = {name: value for name, value in settings.items() if name not in ("optimizer", "mirror", "sides", "reach")}
    check_settings(Node(older, "x"), "anchor", described.cascade)
    with pytest.raises(MissingArtifactError, match="expected the keys branch"):
        check_settings(Node({}, "x"), "anchor", described.cascade)
