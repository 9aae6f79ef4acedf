"""scripts/experiments/compare_partial.py: what each arm trains on, and what it validates."""

from argparse import Namespace

import pytest

from scripts.experiments import compare_partial
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.phantom.dataset import write_phantom_dataset

GRID = {"shape": (40, 34, 34), "spacing_mm": (7.0, 7.0, 7.0)}


@pytest.fixture
def options(tmp_path, nnunet_folders):
    """Two complete phantoms, and two more of which one lacks a parotid's contour."""
    nnunet_folders.mkdir()
    write_phantom_dataset(tmp_path / "complete", num_training=2, num_test=0, **GRID)
    write_phantom_dataset(tmp_path / "partial", num_training=2, num_test=0, seed=20, **GRID)
    for path in (tmp_path / "partial").glob("*Tr/phantom_*"):
        path.rename(path.with_name(f"further_{path.name}"))
    (case, *_) = compare_partial.cases_of(tmp_path / "partial")
    write_json(tmp_path / "partial" / "cases.json", {case: {"unannotated": ["Parotid_L"]}})
    return Namespace(complete=tmp_path / "complete", partial=tmp_path / "partial", profile="hn42", folds=2)


@pytest.mark.parametrize("arm", compare_partial.ARMS)
def test_arms_train_on_more_cases_and_validate_the_same(options, arm):
    compare_partial.prepare(arm, options)
    cascade = Cascade.load(compare_partial.ARMS[arm])
    complete, partial = (compare_partial.cases_of(folder) for folder in (options.complete, options.partial))
    more = [] if arm == "left out" else partial
    splits = read_json(cascade.preprocessed("baseline") / "splits_final.json")
    assert sorted(case for split in splits for case in split["val"]) == complete
    assert all(set(more) <= set(split["train"]) for split in splits)
    masked = [case for case, names in cascade.not_annotated.items() if "Parotid_L" in names]
    assert masked == ([partial[0]] if arm == "added, masked" else [])
