"""Which JSON values a rule takes, against what its words say."""

import math
from dataclasses import dataclass

import pytest

from soars_nnunet.settings.rule import (
    ABOVE_0_TO_1,
    BETWEEN_0_AND_1,
    COUNT,
    FACT,
    FROM_0_BELOW_1,
    FROM_0_TO_1,
    NAMES,
    NOT_NEGATIVE,
    OURS,
    PAPER,
    POSITIVE,
    SEED,
    TRUTH,
    WHOLE,
    Rule,
    Values,
    rules,
    setting,
)


@pytest.mark.parametrize(
    ("span", "taken", "words"),
    [
        (FROM_0_TO_1, [0, 0.5, 1], "0 to 1"),
        (ABOVE_0_TO_1, [0.5, 1], "above 0, at most 1"),
        (FROM_0_BELOW_1, [0, 0.5], "0 or more, below 1"),
        (BETWEEN_0_AND_1, [0.5], "above 0, below 1"),
    ],
)
def test_ends_of_a_span(span, taken, words):
    numbers = [-1e-9, 0, 0.5, 1, 1 + 1e-9, math.nan, math.inf, -math.inf]
    assert [number for number in numbers if span.holds(number)] == taken
    assert str(span) == words


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        (COUNT, [1, 2]),
        (WHOLE, [0, 1, 2]),
        (SEED, [0, 1, 2]),
        (POSITIVE, [1, 0.5, 2]),
        (NOT_NEGATIVE, [0, 1, 0.5, 2]),
        (TRUTH, [True, False]),
        (FACT, []),
        (Values("name", choices=("RAdam", "SGD")), ["SGD"]),
        (NAMES, [["a"]]),
        (COUNT.times(2), [[1, 2]]),
        (WHOLE.times(2), [[1, 2], [0, 0]]),
        (Values("number", count=2, any_above_0=True), [[1, 2]]),
    ],
)
def test_kinds_are_told_apart(values, taken):
    candidates = [0, 1, 0.5, 2, -1, True, False, "SGD", "Adam", [], ["a"], [1, 2], [0, 0], [1], [1, None], {}, math.inf]
    found = [value for value in candidates if values.take(value)]
    assert [(type(value), value) for value in found if not isinstance(value, list)] == [
        (type(value), value) for value in candidates if value in taken and _same_kind(value, taken)
    ]
    assert [value for value in found if isinstance(value, list)] == [v for v in taken if isinstance(v, list)]


def _same_kind(value, taken):
    return not isinstance(value, list) and any(type(value) is type(other) and value == other for other in taken)


def test_seeds_leave_room_for_fold_and_rank():
    assert SEED.take(2**31 - 1) and not SEED.take(2**31)


def test_null_needs_a_meaning():
    assert Rule("m", COUNT, OURS, null="no limit").takes(None) and not Rule("m", COUNT, OURS).takes(None)


def test_a_field_carries_its_rule():
    @dataclass(frozen=True)
    class Two:
        size_mm: float = setting("A size.", POSITIVE, PAPER, unit="mm")
        name: str = setting("A name.", FACT, OURS, default="x")

    assert Two(size_mm=2.0) == Two(2.0, "x")
    assert list(rules(Two)) == list(rules(Two(1.0)))
    (size, name) = rules(Two)
    assert size == ("size_mm", Rule("A size.", POSITIVE, PAPER, unit="mm")) and name[0] == "name"
