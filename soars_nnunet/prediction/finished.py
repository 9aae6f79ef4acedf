"""When a case needs no prediction: its result exists, and all that it depends on is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from soars_nnunet.cascade.record import INFERENCE_REVISION
from soars_nnunet.cascade.storage import file_hash, read_object
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.stale import STALE


def dependencies(predictor: CascadePredictor) -> dict[str, Any]:
    """What every result of a predictor depends on beside its CT, as reports hold it under ``sha256``.

    Keys and values are those of reports on disk: a result that was made before is recognised by them.
    """
    return {
        "models": {key: model.fingerprint for key, model in predictor.models.items()},
        "plans": {key: model.plans_hash for key, model in predictor.models.items()},
        "inference": INFERENCE_REVISION,
        "cascade": predictor.manifest.fingerprint,
        "mirror": predictor.options.mirror,
        "tiling": predictor.options.used_tiling.to_json(),
        "largest_part": predictor.largest_part,
        "organs": predictor.organs,
    }


def is_finished(labels: Path, report: Path, key: dict[str, Any]) -> bool:
    """Whether a report was made with this key, and beside it lie the labels that it was made with.

    Args:
        labels: Label file.
        report: JSON beside it.
        key: What a result depends on: ``dependencies`` and the CT's hash under ``input``.
    """
    if not labels.is_file() or not report.is_file():
        return False
    try:
        data = read_object(report)
    except MissingArtifactError:
        return False
    if not isinstance(data, dict) or STALE in data:
        return False
    return data.get("sha256") == {**key, "output": file_hash(labels)}
