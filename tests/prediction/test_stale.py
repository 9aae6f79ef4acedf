"""Labels of a CT that has become bad do not pass for its own."""

import pytest

from soars_nnunet.cascade.ct_hash import ct_hash
from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.prediction.finished import is_finished
from soars_nnunet.prediction.stale import STALE, note_stale


@pytest.fixture
def result(tmp_path):
    ct, labels, report = tmp_path / "a.mha", tmp_path / "out.mha", tmp_path / "out.json"
    ct.write_bytes(b"ElementDataFile = LOCAL\nvoxels")
    labels.write_bytes(b"labels")
    key = {"input": ct_hash(ct)}
    write_json(report, {"warnings": ["w"], "sha256": {**key, "output": file_hash(labels)}})
    assert is_finished(labels, report, key)
    return ct, labels, report


def test_labels_of_a_ct_as_it_was_are_said_and_reported_once(result):
    ct, labels, report = result
    key = {"input": ct_hash(ct)}
    content = ct.read_bytes()
    ct.write_bytes(content[:-3])
    for _ in range(2):
        assert note_stale(*result) == f"; {labels} is still there, of the CT as it was before: delete it"
    data = read_json(report)
    assert data["warnings"] == [data[STALE], "w"] and "a.mha as it was before" in data[STALE]
    assert data["sha256"]["input"] == key["input"], "what they were made of stays known"
    ct.write_bytes(content)
    assert not is_finished(labels, report, key), "the report is written anew"


def test_a_ct_that_is_gone_leaves_stale_labels(result):
    result[0].unlink()
    assert "is still there" in note_stale(*result)


def test_a_refusal_for_another_reason_leaves_them_good(result):
    before = result[2].read_bytes()
    assert note_stale(*result) == "" and result[2].read_bytes() == before


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"sha256": null}', '{"sha256": {"output": "x"}}'])
def test_what_no_prediction_wrote_is_left_alone(result, text):
    result[2].write_text(text)
    result[0].write_bytes(b"another")
    assert note_stale(*result) == "" and result[2].read_text() == text


def test_nothing_there_is_nothing_stale(result):
    result[0].write_bytes(b"another")
    result[1].unlink()
    assert note_stale(*result) == ""
