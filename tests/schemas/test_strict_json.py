"""JSON of unknown origin."""

import json

import pytest

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.strict_json import MAX_DEPTH, parse_json, require_plain_text


def test_json_is_what_it_is_elsewhere():
    data = {"a": [1, -2.5, None, True, "Ä ü é 頭"], "b": {"c": {}}, "d": 1e-30}
    assert parse_json(json.dumps(data).encode(), "x") == data
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(deepest.encode(), "x") == json.loads(deepest)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "x: expected valid JSON"),
        (b"{'a': 1}", "expected valid JSON"),
        (b"[1] 2", "expected valid JSON"),
        (b'"\xff"', "expected valid JSON"),
        (b"[NaN]", "NaN, which is no number"),
        (b"[-Infinity]", "-Infinity, which is no number"),
        (b"[-1e400]", "a number that is too large"),
        (b"123456789012345678901", "a number of 21 digits"),
        (b'{"a": {"b": 1, "b": 1}}', "one key twice"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "levels, got more"),
        (b"[" * 50_000, "expected"),
        (b'{"a": ' * 50_000 + b"1" + b"}" * 50_000, "levels, got more"),
        (b'["a\\nb"]', r"a control sign \('.n'\) in 'a.nb'"),
        (b'{"a\\u0007": 1}', "a control sign"),
        (b'["\\u202e"]', "changes how text is shown"),
        (b'["\\ud83d"]', "half of a sign"),
    ],
)
def test_what_a_bundle_may_not_say_is_refused(content, match):
    with pytest.raises(MissingArtifactError, match=match) as refused:
        parse_json(content, "x")
    assert str(refused.value).isprintable()


def test_cards_have_several_lines():
    require_plain_text("# Title\n\n\ta", "x", several_lines=True)
    assert parse_json(b'"a\\nb"', "x", several_lines=True) == "a\nb"
    with pytest.raises(MissingArtifactError, match="a control sign"):
        require_plain_text("a\rb", "x", several_lines=True)
