"""Which page is written where: one for an evaluation, one for each prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.evaluation_file import find_evaluation, read_evaluation
from soars_nnunet.html_report.evaluation import evaluation_page
from soars_nnunet.html_report.page import write_page
from soars_nnunet.html_report.prediction import prediction_page
from soars_nnunet.images.listing import list_cts
from soars_nnunet.progress import Progress


@dataclass(frozen=True)
class PredictedCase:
    """A prediction and what it was made from.

    Attributes:
        name: Case name.
        labels: Label file of ``soars-cascade-predict``; its report lies beside it as ``<name>.json``.
        ct: The CT that was segmented.
    """

    name: str
    labels: Path
    ct: Path


def report_evaluation(path: Path, output: Path | None, progress: Progress) -> None:
    """Write the page of an evaluation.

    Args:
        path: ``evaluation.json`` of ``soars-evaluate``, or its folder.
        output: HTML file; None for one beside the evaluation.
        progress: Receives a line with the page's path and size.

    Raises:
        InputError: If it is no evaluation, or the page cannot be written.
    """
    file = find_evaluation(path)
    evaluation = read_evaluation(file)
    if not evaluation.scores:
        raise InputError(f"-e {path}: expected scores of at least one case, got none; run soars-evaluate on a case")
    page = evaluation_page(evaluation)
    _write(output or file.with_suffix(".html"), page, progress)


def report_predictions(prediction: Path, source: Path, output: Path | None, progress: Progress) -> None:
    """Write one page per prediction.

    Args:
        prediction: Label file, or folder of label files.
        source: The CT that was segmented, or the folder of CTs.
        output: HTML file, or with a folder of predictions a folder; None for pages beside the labels.
        progress: Receives a line with each page's path and size.

    Raises:
        InputError: If a file is missing or unusable, or a page cannot be written.
    """
    several = prediction.is_dir()
    if several and output is not None and output.is_file():
        raise InputError(f"-o {output}: expected a folder for the pages of a folder of predictions, got a file")
    for case in find_predicted_cases(prediction, source):
        path = case.labels.with_name(f"{case.name}.html")
        if output is not None:
            path = output / path.name if several or output.is_dir() else output
        page = prediction_page(case.labels, case.labels.with_name(f"{case.name}.json"), case.ct)
        _write(path, page, progress)


def find_predicted_cases(prediction: Path, source: Path) -> list[PredictedCase]:
    """Pair predictions with CTs by case name; one file with one CT, whatever their names.

    Raises:
        InputError: If there is no prediction, or one has no CT.
    """
    predicted = list_cts(prediction)
    cts = dict(list_cts(source))
    if prediction.is_file() and source.is_file():
        name, labels = predicted[0]
        return [PredictedCase(name, labels, source)]
    missing = [name for name, _ in predicted if name not in cts]
    if missing:
        raise InputError(
            f"-i {source}: expected a CT for each prediction, found none for {', '.join(missing)}; add the CTs"
        )
    return [PredictedCase(name, labels, cts[name]) for name, labels in predicted]


def _write(path: Path, page: str, progress: Progress) -> None:
    size_mb = write_page(path, page)
    progress(f"wrote {path} ({size_mb:.1f} MB)")
