"""What is said where a prediction is less like its training, or scores owe something to the scored cases."""

import re
from types import SimpleNamespace

import pytest

from soars_nnunet.cascade.made_from import MadeFrom
from soars_nnunet.prediction.doubts import cross_validation_doubts, tiling_doubts
from soars_nnunet.prediction.tiling import Tiling

LARGE = Tiling("large").to_json()


@pytest.mark.parametrize(
    ("tilings", "used", "said"),
    [
        pytest.param({"mid_level": {}, "detection": {}}, Tiling(), [], id="the default in both"),
        pytest.param({"mid_level": LARGE}, Tiling("large"), [], id="large in both"),
        pytest.param({"small_hard": LARGE}, Tiling(), [], id="a branch that is not in use"),
        pytest.param(
            {"mid_level": {}, "detection": {}},
            Tiling("large"),
            ["MidLevel, Detection was made with the default tiling for the training and is made with --tiling large"],
            id="large here alone",
        ),
        pytest.param(
            {"mid_level": LARGE}, Tiling(step_size=0.5), ["with --tiling large for .*--step-size 0.5"], id="step"
        ),
    ],
)
def test_guidance_of_another_tiling_is_said(tilings, used, said):
    found = tiling_doubts(MadeFrom("", tilings), ["anchor", "mid_level", "detection"], used)
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert re.search(part, sentence)
    assert tiling_doubts(None, ["mid_level"], used) == []


def manifest(folds, cases=()):
    targets = {str(index): SimpleNamespace(cases=count) for index, count in enumerate(cases)}
    return SimpleNamespace(made_from=MadeFrom("", {}, folds), branches=["anchor"], targets=targets)


@pytest.mark.parametrize(
    ("fold", "scored", "said"),
    [
        (0, [0], None),
        (0, [0, 1, 2], "fold 0, which are scored here in fold(s) 1, 2."),
        (1, [0], "fold 1, which are scored here in fold(s) 0."),
        ("all", [0, 1], "fold all, which are scored here in fold(s) 0, 1."),
    ],
)
def test_cases_that_a_search_saw_are_said(fold, scored, said):
    found = cross_validation_doubts(manifest({"anchor": fold}), Tiling(), scored, 3)
    assert len(found) == (said is not None) and all(said in sentence for sentence in found)


def test_voi_sizes_owe_to_all_cases():
    (found,) = cross_validation_doubts(manifest({}, (3, 5)), Tiling(), [0], 2)
    assert "all 5 training cases, the scored ones among them" in found
    without = SimpleNamespace(made_from=None, branches=[], targets={})
    assert cross_validation_doubts(without, Tiling("large"), [0], 2) == []
