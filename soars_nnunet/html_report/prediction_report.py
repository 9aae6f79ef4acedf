"""The report that soars-cascade-predict writes beside each label file, as the page reads it.

Reports of earlier versions lack parts, so all but the organs may be absent. Importing this loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.html_report.report_checks import check_report
from soars_nnunet.schemas.fault import FaultError
from soars_nnunet.schemas.node import checked


@dataclass(frozen=True)
class ReportedOrgan:
    """One organ of a prediction.

    Attributes:
        name: Name in the profile.
        label: Value in the label volume.
        volume_ml: Volume, ml.
        status: What became of it, such as ``"found"``.
        tier: Its tier; None in reports that do not say.
        confidence: Height of the heat-map peak, or mean probability inside the organ, 0 to 1; None without either.
        volume_flag: ``far_below_training`` or ``far_above_training``; None for neither.
        training_ml: 5th and 95th percentile of training's volumes, ml; None where they are not known.
    """

    name: str
    label: int
    volume_ml: float
    status: str
    tier: str | None
    confidence: float | None
    volume_flag: str | None = None
    training_ml: tuple[float, float] | None = None


@dataclass(frozen=True)
class PredictionReport:
    """What the page shows of a report; what a report lacks is empty.

    Attributes:
        case: Case name; None where the report does not say.
        profile: Name of the profile.
        organs: In the report's order.
        warnings: Sentences.
        targets: What was found of each detection target, by its name.
        models: Name and folds of each branch's model.
        largest_part: Organs reduced to their largest part.
        versions: Version by package.
        seconds: Time by stage.
        bundle: Name, format version and hash of the bundle; empty for a training's model folders.
        ct_sha256: Hash of the CT file that was segmented; None where the report does not say.
        labels_sha256: Hash of the label file as it was written; None where the report does not say.
    """

    case: str | None
    profile: str | None
    organs: tuple[ReportedOrgan, ...]
    warnings: tuple[str, ...]
    targets: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]
    largest_part: tuple[str, ...]
    versions: Mapping[str, Any]
    seconds: Mapping[str, Any]
    bundle: Mapping[str, Any]
    ct_sha256: str | None = None
    labels_sha256: str | None = None


def read_prediction_report(path: Path) -> PredictionReport:
    """Read a report.

    Raises:
        InputError: If it is absent or something else.
    """
    data = read_json(path, "delete it, and run soars-cascade-predict again")
    try:
        checked(data, f"report {path}", check_report, advice="run soars-cascade-predict again")
    except FaultError as fault:
        raise InputError(str(fault)) from fault
    organs = []
    for name, row in data["organs"].items():
        organ = ReportedOrgan(
            name=name,
            label=row["label"],
            volume_ml=row["volume_ml"],
            status=row["status"],
            tier=row.get("tier"),
            confidence=row.get("confidence"),
            volume_flag=row.get("volume_flag"),
            training_ml=_range(row.get("training_ml")),
        )
        organs.append(organ)
    hashes = data.get("sha256") or {}
    return PredictionReport(
        case=data.get("case"),
        profile=data.get("profile"),
        organs=tuple(organs),
        warnings=tuple(data.get("warnings", ())),
        targets=data.get("targets") or {},
        models=data.get("models") or {},
        largest_part=tuple(data.get("largest_part") or ()),
        versions=data.get("provenance") or {},
        seconds=data.get("seconds") or {},
        bundle=data.get("bundle") or {},
        ct_sha256=hashes.get("input"),
        labels_sha256=hashes.get("output"),
    )


def _range(found: Any) -> tuple[float, float] | None:
    """Two numbers, or None for anything else."""
    if not isinstance(found, list) or len(found) != 2:
        return None
    low, high = found
    return (low, high) if isinstance(low, (int, float)) and isinstance(high, (int, float)) else None
