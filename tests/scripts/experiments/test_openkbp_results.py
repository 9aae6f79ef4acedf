"""scripts/experiments/openkbp_results.py: figures of the page come from the recipe's folder."""

import pytest

from scripts.experiments.openkbp_results import Recipe, commit, only, page
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.evaluation.evaluation_file import write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.settings.regime import load_regime
from tests.scripts.test_results import HEAD, MAX_WORDS, sentences

FACTS = {"Date": "2026-01-01", "Commit": "`1234567`", "Machine": "2 CPU cores", "Command": "below"}
DSC = {"a": 0.5, "b": 0.7, "c": 0.9}


def score(case, organ, dsc):
    status = "not_in_reference" if dsc is None else "scored"
    distance_mm = None if dsc is None else 2.0
    return OrganScore(case, organ, "anchor", status, dsc, distance_mm, distance_mm, 9.0, 9.0, hd95_mm=distance_mm)


@pytest.fixture
def folder(tmp_path):
    """A recipe's folder: three cases in two folds; the larynx is drawn in one."""
    scores = [score(case, "Brainstem", dsc) for case, dsc in DSC.items()]
    scores += [score("a", "Larynx", 0.25), score("b", "Larynx", None), score("c", "Larynx", None)]
    results = tmp_path / "nnUNet_results"
    evaluation = Evaluation(scores=tuple(scores), profile="openkbp7", prediction="p", reference="r")
    write_evaluation(evaluation, results / "Dataset009_OpenKBP" / "SOARS__nnUNetPlans" / "cross_validation")
    fold = results / "Dataset091_OpenKBP_Anchor" / "SOARSAnchorTrainer__nnUNetPlans__3d_fullres" / "fold_0"
    fold.mkdir(parents=True)
    (fold / "training_log_1.txt").write_text("2026: Epoch time: 60.0 s\n2026: train_loss -0.5\n")
    (fold / "training_log_2.txt").write_text("2026: Epoch time: 180.0 s\n")
    preprocessed = tmp_path / "nnUNet_preprocessed" / "Dataset091_OpenKBP_Anchor"
    write_json(preprocessed / "splits_final.json", [{"train": ["c"], "val": ["a", "b"]}, {"train": [], "val": ["c"]}])
    settings = load_regime("demo", "anchor").to_json()
    settings |= {"num_epochs": 4, "iterations_per_epoch": 10}
    configuration = {
        "spacing": [3.0, 4.0, 4.0],
        "patch_size": [64, 48, 48],
        "architecture": {"arch_kwargs": {"genotype": ["2D3", "2D5", "2D3", "3D5"]}},
        "soars": settings,
    }
    contents = {
        "configurations": {"3d_fullres": configuration},
        "foreground_intensity_properties_per_channel": {"0": {"std": 150}},
    }
    write_json(preprocessed / "nnUNetPlans.json", contents)
    return tmp_path


def test_every_figure_is_of_the_scores_split_plans_and_logs(folder):
    text = page(Recipe.read(folder), FACTS)
    assert "Brainstem 0.700, Larynx 0.250, mean 0.475." in text and "of 3 OpenKBP patients" in text
    assert "| Brainstem | 3 | 0.700 | 0.200 | 0.540 | 2.0 | 2.00 |" in text
    assert "| Larynx | 1 | 0.250 |" in text
    assert "| 0 | 2 | 0.600 | 0.250 | 0.425 |" in text and "| 1 | 1 | 0.900 | - | 0.900 |" in text
    assert "Each trains 40 steps." in text and "3 x 4 x 4 mm" in text
    assert "Fold 0 took 4 minutes, 6.00 s a step." in text and "Fold 1 took" not in text


def test_the_page_is_one_that_the_results_may_hold(folder):
    text = page(Recipe.read(folder), FACTS)
    assert HEAD.match(text)
    assert [sentence for sentence in sentences(text) if len(sentence.split()) > MAX_WORDS] == []


def test_an_unfinished_recipe_is_named(tmp_path):
    with pytest.raises(SystemExit, match="expected one .*evaluation.json, found 0"):
        Recipe.read(tmp_path)
    (tmp_path / "one").touch()
    assert only(tmp_path, "o*") == tmp_path / "one"


def test_outside_a_checkout_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() == "unknown", "git is not installed"
