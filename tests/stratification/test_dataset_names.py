"""Names of the branch datasets."""

import pytest

from soars_nnunet.branches import BRANCHES
from soars_nnunet.errors import InputError
from soars_nnunet.stratification.dataset_names import branch_dataset_names

FOUR = [BRANCHES[key] for key in ("anchor", "mid_level", "detection", "small_hard")]


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("source", "first"), [("Dataset007_A", 71), ("Dataset042_A", 421), ("Dataset100_A", 901)])
def test_ids_follow_from_that_of_the_source(raw, source, first):
    names = branch_dataset_names(source, [*FOUR, BRANCHES["baseline"]], None)
    assert [int(name[7:10]) for name in names.values()] == list(range(first, first + 5))
    assert names["anchor"] == f"Dataset{first:03d}_A_Anchor" and names["baseline"].endswith("_A_Baseline")


def test_every_branch_keeps_its_id_when_others_are_not_there(raw):
    assert branch_dataset_names("Dataset007_A_b", [BRANCHES["small_hard"]], None) == {
        "small_hard": "Dataset074_A_b_SmallHard"
    }


def test_own_datasets_may_be_there_already_but_not_others(raw):
    (raw / "Dataset072_A_MidLevel").mkdir()
    assert branch_dataset_names("Dataset007_A", FOUR, None)["mid_level"] == "Dataset072_A_MidLevel"
    (raw / "Dataset073_Chest").mkdir()
    with pytest.raises(InputError, match="dataset id 073 is taken by Dataset073_Chest; choose others with --ids"):
        branch_dataset_names("Dataset007_A", FOUR, None)
    assert branch_dataset_names("Dataset007_A", FOUR, [1, 2, 3, 4])["detection"] == "Dataset003_A_Detection"
