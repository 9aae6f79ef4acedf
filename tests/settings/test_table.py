from soars_nnunet.branches import BRANCHES
from soars_nnunet.settings.regime_settings import OF_FINE_TUNING, RegimeSettings
from soars_nnunet.settings.rule import rules
from soars_nnunet.settings.table import regimes


def test_a_regime_names_every_setting_and_no_branch_that_there_is_not():
    expected = {name for name, _ in rules(RegimeSettings)} - {"regime", *OF_FINE_TUNING}
    for name, parts in regimes().items():
        assert set(parts["all"]) == expected, name
        assert set(parts) - {"all", "source", "ours", "from_bundle"} <= set(BRANCHES)
        assert set(OF_FINE_TUNING) <= set(parts["fine_tune"])


def test_what_is_read_may_be_changed_without_harm():
    regimes()["paper"]["all"]["batch_size"] = 99
    assert regimes()["paper"]["all"]["batch_size"] == 12
