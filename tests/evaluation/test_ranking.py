import pytest
from evaluation.cases import method, organ_score

from soars_nnunet.evaluation.alignment import align
from soars_nnunet.evaluation.ranking import best_positions, winners
from soars_nnunet.evaluation.scores import Evaluation


def test_wins_share_ties_and_put_misses_before_distances():
    a = method([("1", "A", 0.8, 2.0), ("2", "A", 0.0, None), ("1", "B", 0.5, 5.0), ("1", "C", 0.0, None)])
    b = method([("1", "A", 0.5, 3.0), ("2", "A", 0.5, 9.0), ("1", "B", 0.5, 4.0), ("1", "C", 0.0, None)])
    aligned = align({"a": a, "b": b})
    assert winners(aligned, "dsc") == {"A": ("b",), "B": ("a", "b"), "C": ("a", "b")}
    assert winners(aligned, "hd_mm") == {"A": ("b",), "B": ("b",), "C": ()}  # a missed A once, C has no distance
    assert set(winners(aligned, "surface_dsc").values()) == {()}


def test_volume_errors_win_by_their_size():
    a, b = (Evaluation((organ_score("1", "A", volume_error=error),)) for error in (-0.2, 0.1))
    assert winners(align({"a": a, "b": b}), "volume_error") == {"A": ("b",)}


@pytest.mark.parametrize(
    ("values", "higher_is_better", "best"),
    [
        ([0.5, 0.7, 0.7], True, [1, 2]),
        ([3.0, None, 2.0], False, [2]),
        ([-0.1, 0.2], False, [0]),
        ([None, None], False, []),
        ([0.5], True, []),
        ([], True, []),
    ],
)
def test_best_positions(values, higher_is_better, best):
    assert best_positions(values, higher_is_better) == best
