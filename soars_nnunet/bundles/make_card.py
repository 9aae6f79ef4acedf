"""The card of a model out of its facts."""

from __future__ import annotations

from soars_nnunet.bundles.card import Card, CardTable, Text
from soars_nnunet.bundles.card_evaluation import detection_table, evaluation_table, lowest_scores
from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.card_form import card_form
from soars_nnunet.bundles.card_model import (
    basics_texts,
    metadata_texts,
    networks_table,
    organs_table,
    technical_texts,
)
from soars_nnunet.bundles.card_training import patients_table, settings_table, training_texts, trainings_table

PRIVACY = (
    "No image, contour, case name or path travels with the model. The manifest lists a hash of each training patient's "
    "case name, so that predicting one of them gives a warning; whoever guesses a name can check the guess."
)


def make_card(facts: CardFacts) -> Card:
    """Fill the form.

    Args:
        facts: Of the model, with at least one training.
    """
    scores = [] if facts.out_of_fold is None else [evaluation_table(facts.out_of_fold)]
    for labelled in facts.evaluations:
        scores.append(evaluation_table(labelled))
    evaluations = list(scores)
    found = detection_table(facts.manifest.targets)
    if found is not None:
        evaluations.append(found)
    training = [patients_table(facts), trainings_table(facts), settings_table(facts)]
    tables: dict[str, tuple[CardTable, ...]] = {
        "model_basics": (organs_table(facts.manifest),),
        "technical_specifications": (networks_table(facts),),
        "training": tuple(table for table in training if table is not None),
        "evaluation": tuple(evaluations),
    }
    made: dict[str, Text] = {
        **metadata_texts(facts),
        **basics_texts(facts),
        "lowest_scores": lowest_scores(scores[0]) if scores else "not evaluated",
        **technical_texts(facts),
        **training_texts(facts),
        **_evaluation_texts(facts),
        "privacy": PRIVACY,
    }
    return Card(facts.name, card_form().fill(made, facts.stated, tables))


def _evaluation_texts(facts: CardFacts) -> dict[str, Text]:
    """Entries of section 4 that the program fills, by key."""
    others = [labelled.title for labelled in facts.evaluations]
    if facts.out_of_fold is None:
        out_of_fold = f"not evaluated: {facts.without_evaluation}"
    else:
        cases = len(facts.out_of_fold.evaluation.cases())
        out_of_fold = (
            f"{cases} training cases, each predicted by models of the fold that did not train on it; labels as "
            "predicted, without post-processing"
        )
    return {"out_of_fold": out_of_fold, "other_evaluations": tuple(others) or "none"}
