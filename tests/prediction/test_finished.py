"""Which results need not be made again."""

import pytest

from soars_nnunet.cascade.record import INFERENCE_REVISION
from soars_nnunet.cascade.storage import file_hash, write_json
from soars_nnunet.prediction.finished import dependencies, is_finished

KEY = {"input": "a", "inference": 1, "tiling": {"step_size": None, "everywhere": False, "large": False}}


@pytest.fixture
def result(tmp_path):
    labels, report = tmp_path / "a.nii.gz", tmp_path / "a.json"
    labels.write_bytes(b"labels")
    write_json(report, {"case": "a", "sha256": {**KEY, "output": file_hash(labels)}})
    return labels, report


def test_a_result_is_recognised_by_all_that_it_depends_on(result):
    assert is_finished(*result, KEY)
    for name in KEY:
        assert not is_finished(*result, {**KEY, name: "another"})
    assert not is_finished(*result, {**KEY, "more": 1})


def test_damaged_results_are_not_finished(result):
    labels, report = result
    content = labels.read_bytes()
    labels.write_bytes(content[:-1])
    assert not is_finished(labels, report, KEY)
    labels.write_bytes(content)
    assert is_finished(labels, report, KEY)
    for text in ("{", "{}", '{"sha256": {}}'):
        report.write_text(text)
        assert not is_finished(labels, report, KEY)
    report.unlink()
    assert not is_finished(labels, report, KEY)


def test_a_missing_volume_is_not_finished(result):
    labels, report = result
    labels.unlink()
    assert not is_finished(labels, report, KEY)


def test_a_result_depends_on_weights_plans_thresholds_and_choices(predictor):
    found = dependencies(predictor)
    assert list(found) == ["models", "plans", "inference", "cascade", "mirror", "tiling", "largest_part", "organs"]
    assert set(found["models"]) == set(found["plans"]) == set(predictor.models)
    assert found["inference"] == INFERENCE_REVISION
    assert found["tiling"] == {"step_size": None, "everywhere": False, "large": False}
    assert found["organs"] == predictor.organs
