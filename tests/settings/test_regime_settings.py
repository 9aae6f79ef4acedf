"""Every setting says what it is."""

import pytest

from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.regime_settings import RegimeSettings
from soars_nnunet.settings.rule import OURS, PAPER, rules


@pytest.mark.parametrize(("name", "rule"), list(rules(BranchSettings)))
def test_a_setting_has_meaning_and_source(name, rule):
    assert rule.meaning[0].isupper() or rule.meaning.startswith("nnU-Net")
    assert rule.meaning.endswith(".") and rule.source in (PAPER, OURS)
    if name.endswith("_mm"):
        assert rule.unit == "mm"
    if name.endswith("_deg"):
        assert rule.unit == "degrees"


def test_probabilities_are_shares():
    of = dict(rules(RegimeSettings))
    for name in (name for name in of if name.startswith("p_")):
        assert [value for value in (-0.1, 0, 0.5, 1, 1.1) if of[name].takes(value)] == [0, 0.5, 1]
