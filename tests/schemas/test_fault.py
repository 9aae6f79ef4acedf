"""Faults of a file in one line."""

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.fault import FaultError, joined


def fault(place, problem="expected 1, got 2"):
    return FaultError("a/plans.json", place, problem, "restore it")


def test_a_single_fault_is_itself():
    one = fault("x.0")
    assert joined([one]) is one and isinstance(one, MissingArtifactError)
    assert str(one) == "a/plans.json, x.0: expected 1, got 2; restore it"
    assert str(fault("")) == "a/plans.json: expected 1, got 2; restore it"


def test_several_stand_in_one_line_with_their_places():
    text = str(joined([fault("x"), fault("y.1", "expected a, got b"), fault("", "expected c, got d")]))
    assert text == (
        "a/plans.json: 3 faults: x: expected 1, got 2 | y.1: expected a, got b | expected c, got d; restore it"
    )
    assert str(joined([fault(str(i)) for i in range(20)])).endswith("7: expected 1, got 2 | and 12 more; restore it")


def test_places_do_not_act_on_a_terminal():
    assert str(fault("a\x1b[31m\nb")).isprintable()
