"""The form of a card, and what authors may state in it."""

import json

import pytest

from soars_nnunet.bundles.card_form import MAX_TEXT, card_form, read_stated
from soars_nnunet.errors import InputError


def write(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_the_form_has_the_six_headings_of_aid_rt_and_no_key_twice():
    titles = [section.title for section in card_form().sections]
    assert titles == [
        "0. Card metadata",
        "1. Model basic information",
        "2. Technical specifications",
        "3. Training data, methodology and information",
        "4. Evaluation data, methodology and results",
        "5. Other considerations",
    ]
    keys = [entry.key for section in card_form().sections for entry in section.entries]
    assert len(keys) == len(set(keys))
    assert {"licence", "data_licence", "data_citation", "intended_use", "authors", "known_failures"} <= {
        entry.key for entry in card_form().stated_by_authors()
    }


def test_what_is_not_stated_says_so_and_what_is_not_known_is_left_out():
    sections = card_form().fill({"name": "neck", "dataset": ""}, {"licence": "CC-BY-4.0"}, {})
    texts = {entry.key: entry.text for section in sections for entry in section.entries}
    assert (texts["name"], texts["licence"], texts["data_licence"]) == ("neck", "CC-BY-4.0", "not stated")
    assert "not a medical device" in texts["clearance"] and "clinician must review" in texts["intended_use"]
    assert "dataset" not in texts and "pipeline" not in texts


def test_texts_and_lists_of_texts_are_read(tmp_path):
    path = write(tmp_path / "card.json", {"licence": "MIT", "known_failures": ["metal", "short scans"]})
    assert read_stated(path) == {"licence": "MIT", "known_failures": ("metal", "short scans")}
    assert read_stated(write(path, {})) == {}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], "a JSON list"),
        ({"license": "MIT", "name": "x"}, "got also license, name"),
        ({"licence": 4, "authors": [], "contact": " ", "citation": ["a", 1]}, "at licence, authors, contact, citation"),
        ({"licence": "x" * (MAX_TEXT + 1), "data": "a\x1b[31mb"}, "at licence, data"),
    ],
)
def test_anything_else_is_refused_with_all_its_faults(tmp_path, data, expected):
    with pytest.raises(InputError, match=expected):
        read_stated(write(tmp_path / "card.json", data))


def test_a_file_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(InputError, match="not valid JSON: line 1.*correct the file"):
        read_stated(write(tmp_path / "card.json", "{"))
