import logging
from dataclasses import replace

import pytest
from evaluation.cases import method

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.alignment import align


def test_only_common_cases_and_distances_are_compared(caplog):
    a = method([("1", "A", 0.8, 2.0), ("2", "A", 0.6, 4.0), ("3", "A", 0.1, 90.0)])
    b = method([("2", "A", 0.0, None), ("1", "A", 0.7, 3.0)])
    with caplog.at_level(logging.WARNING):
        aligned = align({"a": a, "b": b})
    assert "a: cases that not all methods have, left out: 3" in caplog.text
    rows = {name: evaluation.per_organ()[0] for name, evaluation in aligned.items()}
    assert (rows["a"].dsc.n, rows["a"].dsc.mean) == (2, pytest.approx(0.7))
    assert (rows["b"].dsc.n, rows["b"].dsc.mean) == (2, pytest.approx(0.35))  # the missed organ counts as 0
    assert (rows["a"].hd_mm.n, rows["a"].hd_mm.mean) == (1, 2.0)  # b has no distance in case 2
    assert (rows["a"].missed, rows["b"].missed) == (0, 1)


def test_other_references_are_refused():
    a, b = method([("1", "A")]), method([("1", "A")])
    b = replace(b, scores=(replace(b.scores[0], reference_ml=1.1),))
    with pytest.raises(InputError, match="case '1', A: expected one reference for all methods"):
        align({"a": a, "b": b})
    with pytest.raises(InputError, match="none in common"):
        align({"a": a, "b": method([("2", "A")])})
    with pytest.raises(InputError, match="evaluated alike"):
        align({"a": a, "b": replace(a, empty_means_absent=True)})
