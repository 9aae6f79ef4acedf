"""Genotypes as data: kernels of the kinds, entries of a search, files."""

import json

import numpy as np
import pytest

from soars_nnunet.networks.genotype import (
    KINDS,
    NEAR_TIE,
    describe_genotype,
    genotype_entry,
    kernels,
    load_genotypes,
    near_ties,
    published_genotype,
    validate_genotype,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_told_by_its_receptive_field(kind):
    family, width = kind[:-1], int(kind[-1])
    reach = np.sum([np.array(kernel) - 1 for kernel in kernels(kind)], axis=0) + 1
    assert reach.tolist() == [1 if family == "2D" else width, width, width]
    assert len(kernels(kind)) == (2 if family == "P3D" else 1)


def test_published_genotypes_are_the_papers():
    assert published_genotype("anchor") == ["2D3", "2D5", "2D3", "3D5"]
    assert published_genotype("mid_level") == ["2D3", "P3D5", "2D3", "P3D5"]
    assert published_genotype("small_hard") == ["2D3", "3D5", "2D3", "3D5"]
    assert published_genotype("detection") == published_genotype("anchor")
    assert published_genotype("baseline") == ["3D3"] * 4
    with pytest.raises(ValueError, match="one of anchor, mid_level"):
        published_genotype("anchors")


@pytest.mark.parametrize("genotype", [["2D3"] * 3, ["2D3"] * 3 + ["2D7"], "2D3 ", [["2D3"]] * 4, None])
def test_bad_genotypes_are_refused(genotype):
    with pytest.raises(ValueError, match="expected 4 kinds out of 2D3, .* got "):
        validate_genotype(genotype)


def test_published_genotypes_have_no_margins():
    assert describe_genotype("anchor", {"kinds": ["2D3"] * 4}) == "anchor: genotype 2D3 2D3 2D3 2D3"


def test_a_diverged_search_finds_nothing():
    with pytest.raises(ValueError, match="diverged"):
        genotype_entry(np.full((4, 6), np.nan), {})


def test_an_entry_has_the_best_kind_its_lead_and_all_shares():
    rng = np.random.default_rng(0)
    gammas = rng.dirichlet(np.ones(6), 4)
    entry = genotype_entry(gammas, {"seed": 3, "epochs": 50})
    assert entry["kinds"] == [KINDS[i] for i in gammas.argmax(1)]
    ordered = np.sort(gammas, axis=1)
    np.testing.assert_allclose(entry["margins"], ordered[:, -1] - ordered[:, -2], atol=2e-6)
    for row, shares in zip(gammas, entry["gammas"], strict=True):
        assert list(shares) == list(KINDS)
        np.testing.assert_allclose(list(shares.values()), row, atol=1e-6)
    assert (entry["seed"], entry["epochs"]) == (3, 50)
    assert json.loads(json.dumps(entry)) == entry


def test_of_equal_shares_the_first_kind_is_the_best_and_the_block_a_near_tie():
    gammas = np.full((4, 6), 1 / 6)
    gammas[2] = [0, 0, 0.5 + NEAR_TIE, 0.5 - NEAR_TIE, 0, 0]
    gammas[3] = [0, 0.4, 0, 0, 0.6, 0]
    entry = genotype_entry(gammas, {})
    assert entry["kinds"] == ["2D3", "2D3", "3D3", "P3D3"]
    assert entry["margins"] == [0, 0, 0.04, 0.2]
    assert near_ties(entry) == [1, 2]
    assert near_ties({"kinds": entry["kinds"]}) == []
    assert describe_genotype("detection", entry) == (
        "detection: genotype 2D3 2D3 3D3 P3D3; near-ties, best ahead by less than 0.02: 2 of 4 blocks (block 1, 2)"
    )


ENTRY = {"kinds": ["2D3", "3D5", "2D3", "3D5"]}


def test_a_file_gives_its_entries_back(tmp_path):
    table = {"anchor": {**ENTRY, "margins": [0.1, 0, 0.25, 1]}, "small_hard": ENTRY}
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps(table))
    assert load_genotypes(path) == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "found none"),
        ("{", "line 1, column 2"),
        ("{}", "got something else"),
        ("[]", "got something else"),
        (json.dumps({"nerve": ENTRY}), "got something else"),
        (json.dumps({"anchor": ENTRY["kinds"]}), "got something else"),
        (json.dumps({"anchor": {"margins": []}}), "got something else"),
        (json.dumps({"anchor": {"kinds": ["2D3"]}}), "expected 4 kinds out of"),
        (json.dumps({"anchor": {**ENTRY, "margins": "large"}}), "expected margins as a list of numbers, got 'large'"),
        (json.dumps({"anchor": {**ENTRY, "margins": [0.1, None]}}), "expected margins as a list of numbers"),
    ],
)
def test_files_that_hold_no_genotypes_are_refused(tmp_path, text, message):
    path = tmp_path / "genotype.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_genotypes(path)
