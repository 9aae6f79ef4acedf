"""What is read for a card, and what is refused."""

import pytest

from soars_nnunet.bundles.read_facts import EPOCH_VARIABLE, MakeOptions, read_facts
from soars_nnunet.cascade.record import CROSS_VALIDATION, DEFAULT_PLANS, POSTPROCESSING
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.evaluation.evaluation_file import write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.networks.model_folder import TrainedCascade


def trained(cascade):
    return TrainedCascade(cascade.manifest(DEFAULT_PLANS))


def fingerprints(cascade):
    found = trained(cascade)
    return {key: found.branch(key).fingerprint([0, 1]) for key in found.manifest.branches}


def score(case):
    return OrganScore(case, "Larynx", "mid_level", "scored", 0.5, 1.0, 1.0, 1.0, 1.0)


def test_all_folds_of_all_branches_are_read(untrained_cascade):
    lines = []
    facts = read_facts(trained(untrained_cascade), MakeOptions("tiny"), untrained_cascade, lines.append)
    assert lines == [f"{key}: 2 of 2 folds" for key in ("anchor", "mid_level", "detection", "small_hard")]
    assert len(facts.trainings) == 8 and len(facts.patients) == 42
    assert (facts.largest_part, facts.out_of_fold) == (None, None)
    assert facts.without_evaluation == "soars-cross-validate was not run"


def test_some_folds_alone(cascade_copy):
    (cascade_copy.model("small_hard", DEFAULT_PLANS) / "fold_1" / "checkpoint_final.pth").unlink()
    lines = []
    facts = read_facts(trained(cascade_copy), MakeOptions("tiny"), cascade_copy, lines.append)
    assert lines[-1] == "small_hard: 1 of 2 folds" and len(facts.trainings) == 7
    facts = read_facts(trained(cascade_copy), MakeOptions("tiny", folds=[0]), cascade_copy)
    assert [training.fold for training in facts.trainings] == [0, 0, 0, 0]


def test_all_folds_that_are_missing_are_named(cascade_copy):
    for fold in (0, 1):
        (cascade_copy.model("detection", DEFAULT_PLANS) / f"fold_{fold}" / "checkpoint_final.pth").unlink()
    with pytest.raises(MissingArtifactError, match=r"missing: detection \(fold of any number; trained: \[\]\);"):
        read_facts(trained(cascade_copy), MakeOptions("tiny"))
    with pytest.raises(MissingArtifactError, match=r"anchor \(fold 3; trained: \[0, 1\]\).*detection \(fold 1 3;"):
        read_facts(trained(cascade_copy), MakeOptions("tiny", folds=[3, 1]))


def test_another_split_than_the_present_one_is_refused(cascade_copy):
    splits = cascade_copy.splits()
    write_json(cascade_copy.preprocessed("anchor") / "splits_final.json", splits[::-1])
    with pytest.raises(MissingArtifactError, match="trained on another split"):
        read_facts(trained(cascade_copy), MakeOptions("tiny"), cascade_copy)


def test_the_decision_on_post_processing_counts_for_its_weights(cascade_copy):
    path = cascade_copy.manifest(DEFAULT_PLANS).with_name(POSTPROCESSING)
    write_json(path, {"largest_part": ["Larynx"], "models": fingerprints(cascade_copy)})
    assert read_facts(trained(cascade_copy), MakeOptions("tiny")).largest_part == ("Larynx",)
    write_json(path, {"largest_part": ["Larynx"], "models": {"anchor": ["0" * 64]}})
    assert read_facts(trained(cascade_copy), MakeOptions("tiny")).largest_part is None


def test_a_cross_validation_is_read_with_its_own_weights(cascade_copy):
    folder = cascade_copy.manifest(DEFAULT_PLANS).parent / CROSS_VALIDATION
    hashes = fingerprints(cascade_copy)
    scores = []
    for fold, split in enumerate(cascade_copy.splits()):
        models = {key: [of_branch[fold]] for key, of_branch in hashes.items()}
        for case in split["val"]:
            scores.append(score(case))
            write_json(folder / f"{case}.json", {"sha256": {"models": models}})
    write_evaluation(Evaluation(tuple(scores)), folder)
    assert len(scores) == 4
    facts = read_facts(trained(cascade_copy), MakeOptions("tiny"))
    assert sorted(facts.out_of_fold.evaluation.cases()) == sorted(cascade_copy.cases)
    facts = read_facts(trained(cascade_copy), MakeOptions("tiny", folds=[1]))
    assert facts.out_of_fold.evaluation.cases() == sorted(cascade_copy.splits()[1]["val"])


def test_further_evaluations_have_labels(untrained_cascade, tmp_path):
    write_evaluation(Evaluation((score("x"),)), tmp_path)
    options = MakeOptions("tiny", evaluations=[f"Test set, 2 sites={tmp_path}", f"B={tmp_path / 'evaluation.json'}"])
    first, second = read_facts(trained(untrained_cascade), options).evaluations
    assert (first.key, first.title) == ("test_set_2_sites", "Test set, 2 sites, mean (95 % interval)")
    assert second.key == "b" and second.evaluation.cases() == ["x"] and first.tolerances_mm["Larynx"] == 2.0


def test_labels_are_told_apart_and_training_patients_are_said_to_be_so(untrained_cascade, tmp_path):
    write_evaluation(Evaluation((score("x"), score(untrained_cascade.cases[0]))), tmp_path)
    (found,) = read_facts(trained(untrained_cascade), MakeOptions("tiny", evaluations=[f"A={tmp_path}"])).evaluations
    assert found.notes[-1].startswith("1 of the 2 cases have the names of training patients")
    for texts in ([f"A={tmp_path}", f" a ={tmp_path}"], [f"Detection={tmp_path}"]):
        with pytest.raises(InputError, match="a label that no other table has"):
            read_facts(trained(untrained_cascade), MakeOptions("tiny", evaluations=texts))


@pytest.mark.parametrize("text", ["no path", "=x", " =x", "label="])
def test_an_evaluation_without_label_or_path_is_refused(untrained_cascade, text):
    with pytest.raises(InputError, match="LABEL=PATH"):
        read_facts(trained(untrained_cascade), MakeOptions("tiny", evaluations=[text]))


def test_an_evaluation_without_scores_is_refused(untrained_cascade, tmp_path):
    write_evaluation(Evaluation(()), tmp_path)
    with pytest.raises(InputError, match="expected scores of organs, found none"):
        read_facts(trained(untrained_cascade), MakeOptions("tiny", evaluations=[f"A={tmp_path}"]))


def test_the_time_may_be_fixed(untrained_cascade, monkeypatch):
    monkeypatch.setenv(EPOCH_VARIABLE, "0")
    assert read_facts(trained(untrained_cascade), MakeOptions("tiny")).created == "1970-01-01T00:00:00+00:00"
    monkeypatch.setenv(EPOCH_VARIABLE, "yesterday")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH: expected seconds since 1970, got 'yesterday'"):
        read_facts(trained(untrained_cascade), MakeOptions("tiny"))
