"""scripts/experiments/compare_genotypes.py: what is trained, how often, and what the table says of it."""

import argparse

import numpy as np
import pytest

from scripts.experiments.compare_genotypes import Comparison, Step, candidates, report
from soars_nnunet.networks.genotype import KINDS, published_genotype

ALL_2D3 = ["2D3"] * 4


@pytest.fixture
def comparison():
    """A comparison in which searches agree and the Dice of a training is made up."""
    one = Comparison.__new__(Comparison)
    one.options = argparse.Namespace(seeds=2, random=1, branch="anchor", training_seeds=2, jobs=1)
    one.steps = []

    def take(step):
        one.steps.append(step)
        if step.genotype is None:
            return step, {"kinds": ALL_2D3, "margins": [0.1] * 4, "gammas": [dict.fromkeys(KINDS, 1 / 6)] * 4}
        return step, [0.5 + 0.1 * step.seed, 0.7 + 0.1 * step.seed]

    one.take = take
    return one


def test_random_genotypes_are_the_same_in_every_run():
    first, second = (candidates([ALL_2D3], "anchor", 2) for _ in range(2))
    assert first == second
    assert list(first) == ["found, seed 0", "published", "random 1", "random 2", "all 3D3"]
    assert first["published"] == list(published_genotype("anchor"))


def test_searches_that_agree_are_trained_once_with_every_seed(comparison):
    text = comparison.everything()
    trained = [step for step in comparison.steps if step.genotype == tuple(ALL_2D3)]
    assert trained == [Step(0, tuple(ALL_2D3)), Step(1, tuple(ALL_2D3))]
    assert len(comparison.steps) == len(set(comparison.steps)) == 2 + 2 * 4
    assert "| found, seed 1 | 2D3 2D3 2D3 2D3 | 0.650 | 0.600 0.700 | 0.141 |" in text


def test_a_group_counts_genotypes_that_agree_once():
    table = {"found, seed 0": ALL_2D3, "found, seed 1": ALL_2D3, "random 1": ["3D3"] * 4, "random 2": ["3D5"] * 4}
    dice = {"found, seed 0": 0.6, "found, seed 1": 0.6, "random 1": 0.4, "random 2": 0.6}
    scores = {name: np.full((1, 2), value) for name, value in dice.items()}
    lines = report([], table, scores).splitlines()
    assert lines[-2:] == [
        "| found, all |  | 0.600 | 0.000 over 1 genotypes |  |",
        "| random, all |  | 0.500 | 0.141 over 2 genotypes |  |",
    ]
