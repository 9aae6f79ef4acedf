import json

import pytest

from soars_nnunet.json_text import JsonTextError, in_words, parse_json_text, printable, read_json_file

FAULTS = {
    "empty": ("", "empty"),
    "blank": (" \n ", "empty"),
    "cut off": ('{"labels": {"a": 1', "line 1, column 19: the file ends there"),
    "comma at the end of an object": (
        '{\n "a": 1,\n}',
        "line 3, column 1, at '}': the comma .* one too many|comma here",
    ),
    "comma at the end of a list": ('{"a": [1, 2, ]}', r"line 1, column 1\d.*(the comma before this|the comma here)"),
    "comma missing": ('{"a": 1\n "b": 2}', "line 2, column 2, at '\"b\": 2}': a comma is missing"),
    "colon missing": ('{"a" 1}', "line 1, column 6.*expected a colon"),
    "value missing": ('{"a": }', "line 1, column 7.*expected a value"),
    "single quotes around names": ("{'a': 1}", "line 1, column 2.*single quotes"),
    "single quotes around texts": ("{\"a\": 'b'}", "line 1, column 7.*single quotes"),
    "names without quotes": ("{a: 1}", "line 1, column 2.*a name in double quotes"),
    "spelt as in Python": ('{"a": None}', "line 1, column 7.*null"),
    "comment": ('{\n// which\n"a": 1}', "line 2, column 1.*no comments"),
    "comment behind a value": ('{"a": 1 # which\n}', "line 1, column 9.*no comments"),
    "number with a sign": ('{"a": +1}', "line 1, column 7.*a number is not written"),
    "number that begins with a point": ('{"a": .5}', "line 1, column 7.*a number is not written"),
    "text after the end": ("{}\n}", "line 2, column 1.*after its end"),
    "line break in a text": ('{"a": "b\nc"}', "line 1, column 9.*line break or tab"),
    "text not closed": ('{"a": "b', "line 1, column 7.*no closing quote"),
    "path with single backslashes": (r'{"a": "C:\data"}', "line 1, column 10.*doubled"),
    "name twice": (
        '{"labels": {"a": 1,\n"b": 2,\n"a": 3},\n"labels": {}}',
        'once, got again: "a" on line 3, "labels" on line 4',
    ),
    "too deep for the parser": ("[" * 100_000 + "]" * 100_000, "at most 100 lists and objects"),
    "too deep": ("[" * 101 + "]" * 101, "at most 100 lists and objects"),
    "number of 5000 digits": ("9" * 5000, "too many digits"),
    "half of a sign": (r'{"a": ["\ud800"]}', "half of a sign"),
    "zero byte": ('{"a":\n\0', "line 2: a zero byte"),
}
BYTES = {
    "latin-1": ('{"a":\n"K\u00f6rper"}'.encode("latin-1"), "line 2: the byte 0xf6 is not UTF-8; save"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-16, expected UTF-8"),
    "binary": (bytes(range(256)), "zero byte"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_by_line_and_column(name):
    text, expected = FAULTS[name]
    with pytest.raises(JsonTextError, match=expected) as caught:
        parse_json_text(text.encode())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


@pytest.mark.parametrize("name", BYTES)
def test_other_encodings_are_named(name):
    content, expected = BYTES[name]
    with pytest.raises(JsonTextError, match=expected):
        parse_json_text(content)


@pytest.mark.parametrize("data", [{"a": [1, 2.5, None, True]}, [], "K\u00f6rper", {"deep": [[[]]]}, 7])
def test_what_other_programs_write_is_read(data):
    plain = json.dumps(data).encode()
    assert parse_json_text(plain) == data
    assert parse_json_text(b"\xef\xbb\xbf" + plain.replace(b", ", b",\r\n")) == data
    assert parse_json_text(json.dumps(data, ensure_ascii=False).encode()) == data


def test_as_deep_as_allowed_and_whole_pairs_of_surrogates_are_read():
    assert parse_json_text(b"[" * 100 + b"]" * 100) is not None
    assert parse_json_text(rb'{"a": "\ud83d\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_where_asked(number):
    content = f'{{"a": "{number}",\n"b": {number}}}'.encode()
    assert set(parse_json_text(content)) == {"a", "b"}
    with pytest.raises(JsonTextError, match=f"line 2: expected a finite number, got {number}"):
        parse_json_text(content, finite=True)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(JsonTextError, match="expected a file, found a folder"):
        read_json_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_json_file(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1", '"1" (a text: remove the quotes)'),
        ("true", '"true" (a text: remove the quotes)'),
        ("anchor", '"anchor"'),
        (None, "null"),
        (True, "true"),
        ([1, 2], "[1, 2]"),
        (list(range(99)), "a list of 99"),
        ({"a": 1}, "an object of 1 entries"),
        ("x\n\x1b[31m" + "y" * 100, '"x ?[31m' + "y" * 33 + '..."'),
    ],
)
def test_values_are_shown_short_and_in_words(value, words):
    assert in_words(value) == words


def test_texts_for_the_terminal_are_short_and_plain():
    assert printable("a\tb\u202ec", 10) == "a b?c"
