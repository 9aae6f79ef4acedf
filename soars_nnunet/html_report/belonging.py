"""Whether labels, report and CT belong together, by the hashes that the report holds."""

from __future__ import annotations

from pathlib import Path

from soars_nnunet.cascade.ct_hash import ct_hash
from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.errors import InputError
from soars_nnunet.html_report.prediction_report import PredictionReport

SHOWN_DIGITS = 8
"""Of a hash, in messages."""


def doubts(report: PredictionReport, labels: Path, ct: Path) -> list[str]:
    """What is doubtful of a report's files, a sentence each; empty if both are those that it was written for.

    Args:
        report: Of the prediction.
        labels: Label file beside it.
        ct: The CT that is to be shown with it.

    Raises:
        InputError: If the CT is another file than the one that was segmented.
    """
    found = []
    if report.ct_sha256 is None:
        found.append(
            f"The report holds no hash of its CT, so nothing shows that {ct.name} is the one that was segmented."
        )
    elif report.ct_sha256 not in (ct_hash(ct), file_hash(ct)):  # older ones hash a detached header alone
        raise InputError(
            f"-i {ct}: expected the CT that {labels.name} was made from, SHA-256 {report.ct_sha256[:SHOWN_DIGITS]}..., "
            f"got another file, {ct_hash(ct)[:SHOWN_DIGITS]}..., perhaps another patient's; give the CT that was "
            "segmented"
        )
    if report.labels_sha256 is not None and file_hash(labels) != report.labels_sha256:
        found.append(
            f"{labels.name} was changed after its report was written: volumes, status and confidence are of the labels "
            "as predicted, the pictures of those that lie there now."
        )
    return found
