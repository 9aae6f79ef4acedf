"""Facts of detection targets on disk."""

import pytest

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cascade.target_facts import TargetFacts, read_target_facts, write_target_facts

FACTS = TargetFacts(size_mm=(30.0, 20.5, 10.0), low_confidence_below=0.25, mean_error_mm=2.5, missed=1, cases=7)
ROW = {"size_mm": [30.0, 20.5, 10.0], "low_confidence_below": 0.25, "mean_error_mm": 2.5, "missed": 1, "cases": 7}


def test_written_facts_are_read_back(tmp_path):
    path = tmp_path / "targets.json"
    assert read_target_facts(path) == {}
    write_target_facts(path, {"Pituitary": FACTS})
    assert read_target_facts(path) == {"Pituitary": FACTS}
    assert read_json(path) == {"Pituitary": ROW}
    assert list(read_json(path)["Pituitary"]) == list(ROW)


def test_incomplete_facts_are_no_facts():
    assert TargetFacts.from_dict(ROW) == FACTS
    for key in ROW:
        with pytest.raises(KeyError):
            TargetFacts.from_dict({name: value for name, value in ROW.items() if name != key})
