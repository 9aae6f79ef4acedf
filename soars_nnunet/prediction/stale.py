"""Labels that lie where a CT is refused now, and were made of what it was before: they must not pass for its own."""

from __future__ import annotations

from pathlib import Path

from soars_nnunet.cascade.ct_hash import ct_hash
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import MissingArtifactError

STALE = "stale"
"""In a report: why its labels are not those of the CT as it is now."""


def note_stale(ct: Path, labels: Path, report: Path) -> str:
    """Say in a report that its labels are not those of the CT, if so.

    Args:
        ct: File of the CT, which was refused.
        labels: Label file that an earlier run made of it, if any.
        report: JSON beside it.

    Returns:
        A part of a sentence for the message; empty where no such labels lie there.
    """
    if not report.is_file() or not labels.is_file():
        return ""
    try:
        data = read_json(report)
        made_from = data["sha256"]["input"]
    except (MissingArtifactError, TypeError, KeyError):
        return ""  # not ours
    try:
        same = ct_hash(ct) == made_from
    except OSError:
        same = False
    if same:
        return ""
    if STALE not in data:
        text = f"these labels are of {ct.name} as it was before; as it is now it was refused"
        warnings = [text, *data.get("warnings", ())]
        write_json(report, {**data, "warnings": warnings, STALE: text})
    return f"; {labels} is still there, of the CT as it was before: delete it"
