"""What a terminal or a spreadsheet would act on is shown instead."""

import pytest

from soars_nnunet.schemas.printable import cell, escaped, printable


def test_what_is_shown_fits_a_line_and_acts_on_no_terminal():
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
    assert printable("é") == "é"
    assert printable("a" * 300) == "a" * 200 + "..."


def test_every_sign_that_is_not_printable_is_escaped_but_those_that_are_kept():
    assert escaped("a\nb\tc\x9bd\u202ee\udcff") == "a\\nb\\tc\\x9bd\\u202ee\\udcff"
    assert escaped("a\nb\x07", kept="\n") == "a\nb\\x07"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_would_run_is_a_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+3", "1e-4", "-inf", "a=b", "", 3, -2.5, None, "Parotid_L"])
def test_numbers_and_other_texts_stay(value):
    assert cell(value) == value
