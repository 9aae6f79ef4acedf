from soars_nnunet.planning.options import PlanOptions


def test_small_hard_has_a_spacing_of_its_own():
    options = PlanOptions(spacing_mm=(3.0, 2.0, 2.0), small_hard_spacing_mm=(1.0, 1.0, 1.0))
    assert options.spacing_of("small_hard") == (1.0, 1.0, 1.0)
    assert {options.spacing_of(branch) for branch in ("anchor", "mid_level", "detection")} == {(3.0, 2.0, 2.0)}
    assert PlanOptions(spacing_mm=(3.0, 2.0, 2.0)).spacing_of("small_hard") is None


def test_only_mid_level_guides_no_other_and_may_be_in_sample():
    branches = ("anchor", "mid_level", "detection", "small_hard", "baseline")
    options = PlanOptions(guidance="in-sample")
    assert [branch for branch in branches if options.is_in_sample(branch)] == ["mid_level"]
    assert not any(PlanOptions().is_in_sample(branch) for branch in branches)
