"""An ``evaluation.json`` of the wrong shape is refused in one line, before anything is averaged."""

import json

import pytest

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.evaluation.evaluation_checks import check_document, repeated
from soars_nnunet.schemas.node import checked

ROW = {"case": "a", "organ": "Brainstem", "tier": "anchor", "status": "scored", "dsc": 0.5, "hd_mm": 3, "asd_mm": None}
TARGET = {"case": "a", "target": "Lens_L", "status": "scored", "distance_mm": 2.5, "detected_mm": None}


def document(**changes):
    return {"scores": [ROW], "targets": [TARGET], "profile": "hn42", "provenance": {"version": "1"}, **changes}


def test_usual_files_and_those_of_earlier_versions_are_taken():
    checked(document(), "x", check_document)
    checked({"scores": []}, "x", check_document)
    checked(
        document(more=3, scores=[{**ROW, "curl_mm": "x", "volume_error": -1.0, "surface_dsc": 1.0}]),
        "x",
        check_document,
    )


ODD = {
    "report -e json []": ([], "expected an object"),
    "report -e json null": (None, "expected an object"),
    "report -e json no scores": ({}, "expected the keys scores"),
    "report -e json scores null": (document(scores=None), "scores: expected a list"),
    "report -e json row null": (document(scores=[None]), "scores.0: expected an object"),
    "report -e json metric string": (document(scores=[{**ROW, "dsc": "0.5"}]), "scores.0.dsc: expected a number from"),
    "compare dsc string": (document(scores=[{**ROW, "hd_mm": "x"}]), "scores.0.hd_mm: expected a number"),
    "dsc 2": (document(scores=[{**ROW, "dsc": 2}]), "dsc: expected a number from"),
    "dsc NaN": (document(scores=[{**ROW, "dsc": float("nan")}]), "dsc: expected a number from .* got nan"),
    "dsc truth": (document(scores=[{**ROW, "dsc": True}]), "dsc: expected a number from .* got True"),
    "hd negative": (document(scores=[{**ROW, "hd_mm": -3}]), "hd_mm: expected a number"),
    "status number": (document(scores=[{**ROW, "status": 3}]), "status: expected scored or missed"),
    "unknown tier": (document(scores=[{**ROW, "tier": "x"}]), "tier: expected anchor or mid_level"),
    "case of 100k letters": (document(scores=[{**ROW, "case": "a" * 100_000}]), "case: expected a text of at most 300"),
    "case with an escape": (document(scores=[{**ROW, "case": "\x1b[31m"}]), "case: expected a name that can be shown"),
    "case with a new line": (document(scores=[{**ROW, "case": "a\nerror: b"}]), "case: expected a name that can be"),
    "compare scores doubled": (
        document(scores=[ROW, ROW]),
        "scores: expected every organ of a case once, got 1 twice, such",
    ),
    "targets doubled": (document(targets=[TARGET, TARGET]), "targets: expected every target of a case once"),
    "targets number": (document(targets=3), "targets: expected a list"),
    "report -e json provenance list": (document(provenance=[1]), "provenance: expected an object"),
    "report -e json unknown_in_prediction number": (
        document(unknown_in_prediction=3),
        "unknown_in_prediction: expected a list",
    ),
    "paper_names list": (document(paper_names=[]), "paper_names: expected an object"),
    "empty_means_absent text": (document(empty_means_absent="yes"), "empty_means_absent: expected true or false"),
    "profile number": (document(profile=3), "profile: expected a text"),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_files_are_refused_in_one_line(odd):
    data, match = ODD[odd]
    with pytest.raises(MissingArtifactError, match=match) as refused:
        checked(json.loads(json.dumps(data)), "evaluation.json", check_document)
    assert str(refused.value).isprintable()


def test_what_is_there_again_is_listed():
    assert repeated([("a", "x"), ("b", "x"), ("a", "x"), ("a", "y")]) == [("a", "x")] and repeated([]) == []
