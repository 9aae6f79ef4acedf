"""A training records its weights in the manifest, for prediction to compare."""

import pytest
from conftest import write_weights

from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS
from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.training.final_weights import record_final


@pytest.mark.parametrize("fold", ["all", 7])
def test_what_is_no_fold_of_the_split_or_not_finished_is_not_recorded(cascade_copy, fold):
    lines = []
    record_final(cascade_copy.model("anchor", DEFAULT_PLANS), fold, lines.append)
    assert lines == []


def test_another_training_of_a_fold_is_recorded(cascade_copy):
    """By the trainer, when it writes the final checkpoint."""
    model, path = cascade_copy.model("anchor", DEFAULT_PLANS), cascade_copy.manifest(DEFAULT_PLANS)
    (model / "fold_0" / CHECKPOINT).write_bytes(b"")
    record_final(model, 0, list().append)
    before = Manifest.load(path).branches["anchor"].weights
    write_weights(cascade_copy, "anchor")
    after = Manifest.load(path).branches["anchor"].weights
    assert after == {fold: file_hash(model / f"fold_{fold}" / CHECKPOINT) for fold in (0, 1)}
    assert set(after) == set(before) and after[0] != before[0]
    lines = []
    (model / "fold_1" / CHECKPOINT).write_bytes((model / "fold_0" / CHECKPOINT).read_bytes())
    record_final(model, 1, lines.append)
    (line,) = lines
    assert str(path) in line and Manifest.load(path).branches["anchor"].weights[1] == after[0]
