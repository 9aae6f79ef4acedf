"""Section 3, against the record, the plans and the regimes."""

from dataclasses import asdict, replace

import pytest

from soars_nnunet.bundles.card_training import patients_table, settings_table, training_texts, trainings_table
from soars_nnunet.bundles.training_facts import OrganPatients
from soars_nnunet.cascade.manifest import StartedFrom
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.settings.bundle_start import BundleStart


def with_settings(facts, branch, **values):
    """Facts in which settings of a branch are others."""
    configuration = facts.plans[branch].configuration
    changed = {**configuration, "soars": {**configuration["soars"], **values}}
    contents = {**facts.plans[branch].contents, "configurations": {"3d_fullres": changed}}
    return replace(facts, plans={**facts.plans, branch: PlansFile(contents)})


def test_data_and_split_are_described(facts):
    texts = training_texts(facts)
    assert texts["dataset"] == "Dataset007_Tiny"
    assert texts["patients"] == "4 patients; the folds train on 2, 2 of them"
    assert texts["validation_strategy"].startswith("2-fold cross-validation, split case by case;")
    assert texts["initialisation"] == "random, of seed 0"
    by_patient = replace(facts, manifest=replace(facts.manifest, patient_pattern="(p)"))
    assert "split patient by patient" in training_texts(by_patient)["validation_strategy"]


def test_a_start_from_another_bundle_is_said_branch_by_branch(facts):
    start = BundleStart("openkbp7", "ab" * 32, "anchor", ("Brainstem",), ("Lips",), "patients.json", ())
    changed = with_settings(facts, "anchor", start=asdict(start))
    anchor = replace(facts.manifest.branches["anchor"], started_from=StartedFrom("openkbp7", "ab" * 32, ()))
    branches = {**facts.manifest.branches, "anchor": anchor}
    changed = replace(changed, manifest=replace(facts.manifest, branches=branches))
    text = training_texts(changed)["initialisation"]
    assert text.startswith("anchor: fine-tuned from the bundle openkbp7 (manifest.json of SHA-256 abababababababab...)")
    assert "; new to it: Lips; mid-level: random, of seed 0;" in text
    alone = replace(changed, plans={"anchor": changed.plans["anchor"]})
    assert training_texts(alone)["initialisation"].startswith("fine-tuned from the bundle openkbp7")


def test_settings_that_differ_stand_beside_the_regimes(facts):
    rows = settings_table(facts).to_json()["rows"]
    found = {(row["branch"], row["setting"]): (row["value"], row["regime_value"]) for row in rows}
    assert found["anchor", "features_per_stage"] == ("4 4 8 8", "16 32 64 128")
    assert {setting for _, setting in found} == {"features_per_stage", "n_convs_per_stage", "max_patch_voxels"}


def test_without_a_difference_there_is_no_table(facts):
    usual = {"features_per_stage": [16, 32, 64, 128], "n_convs_per_stage": [2] * 4, "max_patch_voxels": [40] * 3}
    facts = with_settings(facts, "anchor", **usual)
    facts = replace(facts, plans={"anchor": facts.plans["anchor"]})
    assert settings_table(facts) is None
    assert training_texts(facts)["regime"] == "demo (in plans/regimes.json); no setting differs from it"


def test_a_regime_of_another_version_is_said_to_be_unknown(facts):
    rows = settings_table(with_settings(facts, "detection", regime="mine")).to_json()["rows"]
    assert {
        "branch": "detection",
        "setting": "regime",
        "value": "mine",
        "regime_value": "not known to this version",
    } in rows


def test_every_training_has_a_row(facts):
    rows = trainings_table(facts).to_json()["rows"]
    assert [(row["branch"], row["fold"]) for row in rows][:3] == [("anchor", 0), ("anchor", 1), ("mid-level", 0)]
    detection = [row for row in rows if row["branch"] == "detection"]
    assert detection[0]["loss"] == "squared error of heat maps, sigma 8 mm"
    assert (rows[0]["loss"], rows[0]["augmentation"]) == ("1 Dice + 1 cross entropy", "scaling")
    turned = with_settings(facts, "anchor", p_rotation=0.3, p_scaling=0.0, ce_weight=0.0)
    row = trainings_table(turned).to_json()["rows"][0]
    assert (row["loss"], row["augmentation"]) == ("1 Dice", "rotation")


@pytest.mark.parametrize(
    ("counts", "expected"), [((4, 3), "1 of 2 organs lack contours"), ((4, 4), "none: every organ")]
)
def test_contours_that_are_missing_are_counted(facts, counts, expected):
    rows = tuple(
        OrganPatients(organ, n, (n // 2, n // 2)) for organ, n in zip(("Larynx", "Eye_L"), counts, strict=True)
    )
    facts = replace(facts, patients=rows)
    assert training_texts(facts)["not_annotated"].startswith(expected)
    assert patients_table(facts).to_json()["rows"][0] == {"organ": "Larynx", "patients": 4, "fold_0": 2, "fold_1": 2}


def test_without_the_dataset_the_patients_of_an_organ_are_not_known(facts):
    facts = replace(facts, patients=None)
    assert patients_table(facts) is None and training_texts(facts)["not_annotated"].startswith("not known")
