"""Options of ``soars-plan`` that are taken up again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.networks.genotype import published_genotype
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.remembered import (
    REMEMBERED,
    GivenOptions,
    blamed_on_remembered,
    merged_genotypes,
    options_to_plan,
    read_remembered,
    remember,
)


class Record:
    """As much of a cascade as remembering needs."""

    source = "Dataset007_Tiny"
    datasets = {"anchor": "Dataset071", "mid_level": "Dataset072"}

    def __init__(self, folder: Path):
        self.folder = folder

    def options(self, plans_name):
        return self.folder / f"soars_options_{plans_name}.json"


@pytest.fixture
def cascade(tmp_path):
    return Record(tmp_path)


def test_what_is_not_given_is_as_before_and_plans_remember_apart(cascade):
    first = options_to_plan(cascade, "a", GivenOptions(regime="demo", spacing_mm=[3.0, 2.0, 1.0]), 2)
    assert first == PlanOptions(regime="demo", plans_name="a", spacing_mm=(3.0, 2.0, 1.0), num_processes=2)
    remember(cascade, first)
    again = options_to_plan(cascade, "a", GivenOptions(overrides=["seed=3"]), 5)
    assert again == replace(first, overrides=("seed=3",), num_processes=5)
    assert options_to_plan(cascade, "a", GivenOptions(regime="paper"), 2) == replace(first, regime="paper")
    assert options_to_plan(cascade, "b", GivenOptions(), 2) == PlanOptions(plans_name="b")


def test_genotypes_join_those_of_other_branches(cascade):
    kinds = published_genotype("anchor")
    remember(cascade, PlanOptions(genotypes={"anchor": ["2D3"] * 4, "mid_level": ["3D3"] * 4}))
    options = options_to_plan(cascade, "nnUNetPlans", GivenOptions(genotypes={"anchor": kinds}), 1)
    assert options.genotypes == {"anchor": kinds, "mid_level": ["3D3"] * 4}
    kept = options_to_plan(cascade, "nnUNetPlans", GivenOptions(), 1)
    assert kept.genotypes == {"anchor": ["2D3"] * 4, "mid_level": ["3D3"] * 4}


def test_every_remembered_option_is_written_and_no_other(cascade):
    options = PlanOptions(num_processes=7, guidance="none")
    remember(cascade, options)
    stored = json.loads(cascade.options("nnUNetPlans").read_text())
    assert list(stored) == list(REMEMBERED)
    assert stored == {name: list(v) if isinstance(v := getattr(options, name), tuple) else v for name in REMEMBERED}


def test_options_of_another_version_are_refused(tmp_path):
    path = tmp_path / "soars_options_x.json"
    assert read_remembered(path) == {}
    path.write_text('{"regime": "demo", "patch_mm": 3}')
    with pytest.raises(InputError, match="expected options of this version, got patch_mm; delete it"):
        read_remembered(path)


def test_a_wrong_value_is_blamed_on_whoever_gave_it(cascade):
    wrong, other = InputError("--set seed: expected a value like 0, got x"), InputError("spacing: expected")
    blamed = blamed_on_remembered(wrong, cascade, "a", GivenOptions())
    assert str(blamed) == f"{cascade.options('a')} has the values of an earlier --set: {wrong}; give --set anew"
    assert blamed_on_remembered(wrong, cascade, "a", GivenOptions(overrides=("seed=x",))) is wrong
    assert blamed_on_remembered(other, cascade, "a", GivenOptions()) is other


def test_genotype_files_are_merged_by_branch(cascade):
    def file(name, *branches):
        path = cascade.folder / f"{name}.json"
        path.write_text(json.dumps({branch: {"kinds": published_genotype(branch)} for branch in branches}))
        return path

    found = merged_genotypes([file("a", "anchor"), file("m", "mid_level")], cascade)
    assert {branch: entry["kinds"] for branch, entry in found.items()} == {
        branch: published_genotype(branch) for branch in ("anchor", "mid_level")
    }
    assert merged_genotypes([], cascade) == {}
    with pytest.raises(InputError, match="expected one genotype a branch; anchor is named twice"):
        merged_genotypes([file("a", "anchor"), file("b", "anchor")], cascade)
    with pytest.raises(InputError, match="detection is no branch of Dataset007_Tiny"):
        merged_genotypes([file("d", "detection")], cascade)
