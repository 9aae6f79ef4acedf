"""Values are taken as they are meant, or refused with their place."""

import pytest

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.node import Node

DATA = {"list": [1, 2.5, True], "text": "abc", "inner": {"flag": False, "none": None}}


def node(path=""):
    found = Node(DATA, "manifest.json")
    for key in path.split(".") if path else ():
        found = found.at(key)
    return found


def test_values_are_given_back():
    assert node("text").text("[a-c]+") == "abc" == node("text").one_of(("abc", "d"))
    first, second, _ = node("list").items(3, 3)
    assert first.whole(0, 1) == 1 and second.number(2.5, 3) == 2.5
    assert set(node().fields(("list", "text"), ("inner", "other"))) == set(DATA)
    node("inner.none").exactly(None)
    assert Node([1, 2], "x").wholes(2, 0, 2) == [1, 2] and Node([0.5], "x").numbers(1, 0, 1) == [0.5]
    assert Node(["a"], "x").texts() == ["a"]


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda: node("text").text("[a-b]+"), "manifest.json, text: expected a text like .* got 'abc'"),
        (lambda: node("text").text(most=2), "text: expected a text of at most 2 signs"),
        (lambda: node("list").text(), "list: expected a text"),
        (lambda: node("list").items()[2].whole(0, 1), "list.2: expected a whole number from 0 to 1, got True"),
        (lambda: node("list").items()[2].number(0, 1), "list.2: expected a number from 0 to 1, got True"),
        (lambda: node("list").items()[1].whole(0, 9), "list.1: expected a whole number"),
        (lambda: node("list").items()[1].number(0, 2), "list.1: expected a number from 0 to 2, got 2.5"),
        (lambda: node("list").items(4, 4), "list: expected a list of 4 items, got 3"),
        (lambda: node("text").items(), "text: expected a list"),
        (lambda: node("list").entries(), "list: expected an object"),
        (lambda: node().entries(2), "at most 2 keys, got 3"),
        (lambda: node("inner").fields(("flag", "gone")), "inner: expected the keys gone"),
        (lambda: node("inner").fields(("flag",), advice="upgrade"), "inner: .* also none; upgrade"),
        (lambda: node("inner.flag").exactly(0), "inner.flag: expected 0, got False"),
        (lambda: node("text").one_of(("x", "y")), "text: expected x or y, got 'abc'"),
        (lambda: Node({"a": 1}, "x").one_of(("y",)), "expected y, got"),
    ],
)
def test_others_are_refused_with_their_place(ask, match):
    with pytest.raises(MissingArtifactError, match=match):
        ask()
