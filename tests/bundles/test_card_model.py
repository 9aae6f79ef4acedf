"""Sections 0 to 2, against the plans and the manifest."""

from dataclasses import replace

from soars_nnunet.bundles.card_model import (
    ONE_BRANCH,
    basics_texts,
    metadata_texts,
    networks_table,
    organs_table,
    technical_texts,
)


def test_what_the_authors_stated_is_named(facts):
    assert metadata_texts(facts)["stated_by_authors"] == "nothing"
    stated = replace(facts, stated={"licence": "MIT", "authors": ("A", "B")})
    assert metadata_texts(stated)["stated_by_authors"] == "licence, authors"
    assert metadata_texts(facts)["card_created"] == "2026-11-28T12:00:00+00:00"


def test_the_summary_counts_organs_branches_and_networks(facts):
    texts = basics_texts(facts)
    assert texts["summary"] == "Segments 42 organs at risk in CT: a cascade of 4 branches, 8 trained networks."
    last = replace(facts.trainings[3], ended="2026-11-27")
    texts = basics_texts(replace(facts, trainings=(*facts.trainings[:3], last)))
    assert texts["model_created"] == "2026-11-27"


def test_every_organ_stands_beside_its_branch(facts):
    rows = organs_table(facts.manifest).to_json()["rows"]
    assert [(row["branch"], row["number"]) for row in rows] == [
        ("anchor", 9),
        ("mid-level", 21),
        ("detection", 10),
        ("small & hard", 12),
    ]
    assert "Larynx" in rows[1]["organs"].split(", ") and "Pituitary" in rows[3]["organs"].split(", ")


def test_the_technical_texts_are_those_of_the_plans(facts):
    texts = technical_texts(facts)
    assert len(texts["pipeline"]) == 5
    assert texts["pre_processing"].startswith("HU are clipped to -500 to 1000")
    millions = sum(training.parameters for training in facts.trainings) / 1e6
    assert texts["weights"].startswith(f"{millions:.2f} million in 8 networks, fp16, about {2 * millions:.1f} MB")
    assert "nnunetv2 2." in texts["libraries"]
    first = facts.manifest.branches["anchor"]
    one = replace(facts, manifest=replace(facts.manifest, branches={"anchor": first}))
    assert technical_texts(one)["pipeline"][0] == ONE_BRANCH


def test_post_processing_is_that_of_the_decision(facts):
    assert technical_texts(facts)["post_processing"].startswith("none: soars-cross-validate did not decide")
    assert technical_texts(replace(facts, largest_part=()))["post_processing"].startswith("none: for no organ")
    decided = replace(facts, largest_part=("Larynx", "Eye_L"))
    assert "largest part is kept of: Larynx, Eye_L." in technical_texts(decided)["post_processing"]


def test_networks_are_as_planned(facts):
    rows = {row["branch"]: row for row in networks_table(facts).to_json()["rows"]}
    plans = facts.plans["mid_level"]
    row = rows["mid-level"]
    assert row["spacing_mm"] == plans.spacing_mm and row["patch_size"] == plans.configuration["patch_size"]
    assert (row["input_channels"], row["outputs"], row["folds"], row["num_folds"]) == (10, 22, "0 1", 2)
    assert row["genotype"].split() == plans.configuration["architecture"]["arch_kwargs"]["genotype"]
    assert rows["small & hard"]["input_channels"] == 11
