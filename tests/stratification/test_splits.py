"""The patient-level split."""

import pytest
from nnunetv2.utilities.crossval_split import generate_crossval_split

from soars_nnunet.errors import InputError
from soars_nnunet.stratification.splits import CROSS_VALIDATION_SEED, split_patients


def test_scans_of_one_patient_stay_together():
    cases = [f"p{patient:02d}_scan{scan}" for patient in range(9) for scan in range(1 + patient % 3)]
    splits = split_patients(cases, 4, r"^(p\d+)_")
    assert sorted(case for split in splits for case in split["val"]) == sorted(cases)
    for split in splits:
        assert not {case[:3] for case in split["train"]} & {case[:3] for case in split["val"]}
        assert sorted(split["train"] + split["val"]) == sorted(cases)
    assert splits == split_patients(cases[::-1], 4, r"^(p\d+)_")


@pytest.mark.parametrize(
    ("folds", "pattern", "message"),
    [
        (4, r"^(p\d)_", "expected 2 to 3 folds"),
        (1, None, "expected 2 to 6 folds"),
        (7, None, "got 7"),
        (2, r"^(x\d)_", "(finds no group in case|without a group)"),
        (2, r"^p\d_", "(finds no group in case|without a group)"),
    ],
)
def test_impossible_splits_are_refused(folds, pattern, message):
    cases = [f"p{patient}_{scan}" for patient in range(3) for scan in range(2)]
    with pytest.raises(InputError, match=message):
        split_patients(cases, folds, pattern)


def test_broken_pattern_is_refused():
    with pytest.raises(InputError, match="pattern"):
        split_patients(["a", "b"], 2, "([")


def test_cases_that_are_patients_of_their_own_are_split_as_nnunet_does():
    cases = [f"case{index}" for index in range(11)]
    expected = generate_crossval_split(sorted(cases), seed=CROSS_VALIDATION_SEED, n_splits=4)
    for ours, theirs in zip(split_patients(cases, 4), expected, strict=True):
        assert ours == {side: sorted(theirs[side]) for side in ("train", "val")}


def test_a_pattern_that_keeps_names_busy_is_refused(monkeypatch):
    monkeypatch.setattr("soars_nnunet.schemas.patterns.MAX_SECONDS", 1.0)
    names = [f"patient_{number:03d}" for number in range(4)]
    with pytest.raises(
        InputError, match=r"patient pattern '\^\(\(\[a-z_0-9\]\)\+\.\)\+x\$' takes more than 1 s; give a simpler"
    ):
        split_patients(names, 2, "^(([a-z_0-9])+.)+x$")
