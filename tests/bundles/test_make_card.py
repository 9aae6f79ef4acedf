"""The whole card: complete, honest about what is not there, and the same in JSON and Markdown."""

from dataclasses import replace

from soars_nnunet.bundles.card_evaluation import LabelledEvaluation
from soars_nnunet.bundles.card_form import card_form
from soars_nnunet.bundles.make_card import make_card
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation


def evaluated(organ, dsc):
    score = OrganScore(organ, organ, "anchor", "scored", dsc, hd_mm=1.0, asd_mm=1.0, reference_ml=1.0, predicted_ml=1.0)
    return LabelledEvaluation("k_" + organ.lower(), f"Of {organ}", Evaluation((score,)), None)


def test_every_entry_of_the_form_is_filled(facts):
    card = make_card(facts)
    for section, form in zip(card.sections, card_form().sections, strict=True):
        assert [entry.key for entry in section.entries] == [entry.key for entry in form.entries]
        assert all(entry.text for entry in section.entries)


def test_without_an_evaluation_it_says_so(facts):
    sections = make_card(facts).to_json()["sections"]
    assert sections["evaluation"]["entries"]["out_of_fold"] == "not evaluated: soars-cross-validate was not run"
    assert sections["model_basics"]["entries"]["lowest_scores"] == "not evaluated"
    assert list(sections["evaluation"]["tables"]) == ["detection"]


def test_evaluations_stand_in_order_and_the_first_names_the_lowest(facts):
    facts = replace(facts, out_of_fold=evaluated("Larynx", 0.25), evaluations=(evaluated("Pineal", 0.1),))
    card = make_card(facts)
    sections = card.to_json()["sections"]
    assert list(sections["evaluation"]["tables"]) == ["k_larynx", "k_pineal", "detection"]
    assert sections["evaluation"]["entries"]["other_evaluations"] == ["Of Pineal"]
    assert sections["model_basics"]["entries"]["lowest_scores"] == ["Larynx: mean DSC 0.250"]
    assert "| Larynx | 1 | 0 | 0.250 |" in card.markdown() and "**Of Pineal**" in card.markdown()


def test_what_the_authors_state_stands_in_place_of_defaults(facts):
    text = make_card(replace(facts, stated={"licence": "CC-BY-4.0", "known_failures": ("metal",)})).markdown()
    assert "- **Licence of the weights:** CC-BY-4.0\n" in text
    assert "- **Observed limitations:**\n  - metal\n" in text
    assert "- **Stated by the authors:** licence, known_failures\n" in text
