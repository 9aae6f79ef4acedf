"""Plans are read in one place: the configuration, its spacing, its CT unit."""

import pytest

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile, low_pass_ratio_of
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import MissingArtifactError


def contents(spacing_mm=(2.0, 1.5, 1.25), unit=150.0):
    return {
        "configurations": {CONFIGURATION: {"spacing": list(spacing_mm)}, "2d": {"spacing": [1.0, 1.0]}},
        "foreground_intensity_properties_per_channel": {"0": {"std": unit}, "1": {"std": 1.0}},
    }


def test_what_a_file_says_is_read(tmp_path):
    write_json(tmp_path / "plans.json", contents())
    plans = PlansFile.read(tmp_path / "plans.json")
    assert plans.contents == contents()
    assert (plans.spacing_mm, plans.hu_per_unit) == ([2.0, 1.5, 1.25], 150.0)
    assert plans.grid_and_units == "2 x 1.5 x 1.25 mm and 150 HU a unit"
    with pytest.raises(MissingArtifactError, match="expected the file"):
        PlansFile.read(tmp_path / "other.json")


def test_grids_and_units_are_told_apart():
    same = PlansFile(contents()).grid_and_units
    assert PlansFile(contents(unit=150)).grid_and_units == same
    assert PlansFile(contents(unit=50)).grid_and_units != same
    assert PlansFile(contents(spacing_mm=(2.0, 1.25, 1.5))).grid_and_units != same


def test_a_low_pass_is_part_of_what_a_network_sees_and_plans_without_it_have_none():
    plans = PlansFile(contents())
    assert low_pass_ratio_of(plans.configuration) is None
    without = plans.grid_and_units
    for ratio in (None, 1.5):
        plans.configuration["soars"] = {"low_pass_ratio": ratio}
        assert low_pass_ratio_of(plans.configuration) == ratio
        assert (plans.grid_and_units == without) == (ratio is None)
    assert plans.grid_and_units == f"{without}, with a low pass from 1.5 times finer"


def test_a_configuration_is_part_of_the_contents_and_stock_plans_have_others():
    plans = PlansFile(contents())
    plans.configuration["patch_size"] = [4, 4, 4]
    assert plans.contents["configurations"][CONFIGURATION]["patch_size"] == [4, 4, 4]
    assert plans.named("2d") == {"spacing": [1.0, 1.0]} and plans.named(CONFIGURATION) is plans.configuration
    assert plans.named("3d_lowres") == {}
