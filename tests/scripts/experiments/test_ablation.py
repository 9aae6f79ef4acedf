"""scripts/experiments/ablation.py: which variants are trained, and what the tables are read from."""

import argparse
from types import SimpleNamespace

import pytest

from scripts.experiments.ablation import CT_ONLY, NAS, PLAIN, Ablation
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import published_genotype


@pytest.fixture
def ablation(tmp_path):
    """An ablation of a cascade of anchors and mid-level organs, of which nothing is trained."""
    one = Ablation.__new__(Ablation)
    one.output = tmp_path
    one.options = argparse.Namespace(no_nas=False, genotype=[], search=False, fine_tune=False)
    plans = tmp_path / "plans.json"
    datasets = dict.fromkeys(("anchor", "mid_level"))
    one.cascade = SimpleNamespace(source="Dataset007_Tiny", datasets=datasets, plans=lambda branch, name: plans)
    return one


def test_rows_are_those_of_the_tiers_that_the_dataset_has(ablation):
    rows = ablation.tables().rows
    assert list(rows) == ["anchor", "mid_level"]
    assert rows["mid_level"]["CT only"] == ablation.evaluation(CT_ONLY)
    assert rows["anchor"]["CT only"] == ablation.evaluation(PLAIN)
    assert ablation.tables().detections == {}


def test_rows_without_a_search(ablation):
    assert ablation.tables().rows["anchor"]["CT, NAS"] == ablation.evaluation(NAS)
    ablation.options.no_nas = True
    assert list(ablation.tables().rows["anchor"]) == ["baseline", "CT only"]


def test_genotypes_of_files_replace_published_ones(ablation, tmp_path):
    path = tmp_path / "found.json"
    write_json(path, {"anchor": {"kinds": ["2D3", "2D3", "3D5", "P3D3"]}})
    ablation.options.genotype = [str(path)]
    found = ablation.searched()
    assert found["anchor"] == ["2D3", "2D3", "3D5", "P3D3"]
    assert found["mid_level"] == published_genotype("mid_level")


def test_written_genotypes_are_those_of_present_branches(ablation):
    ablation.write_genotypes(NAS, ablation.searched())
    path = ablation.genotype_of(NAS)[1]
    assert set(read_json(path)) == {"anchor", "mid_level"}


def test_a_dataset_without_a_baseline_or_with_plans_is_refused(ablation, tmp_path):
    with pytest.raises(SystemExit, match="has no baseline dataset; rerun soars-stratify with --baseline"):
        ablation.check_dataset()
    ablation.cascade.datasets["baseline"] = None
    ablation.check_dataset()
    (tmp_path / "plans.json").touch()
    with pytest.raises(SystemExit, match="has plans of its own"):
        ablation.check_dataset()
