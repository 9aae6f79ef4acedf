"""Which page is written where: one for an evaluation, one for each prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.evaluation_file import find_evaluation, read_evaluation
from soars_nnunet.html_report.belonging import doubts
from soars_nnunet.html_report.evaluation import evaluation_page
from soars_nnunet.html_report.page import write_page
from soars_nnunet.html_report.prediction import prediction_page
from soars_nnunet.html_report.prediction_report import read_prediction_report
from soars_nnunet.images.listing import list_images
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


@dataclass(frozen=True)
class PairedCases:
    """Predictions with their CTs.

    Attributes:
        cases: Those that have one.
        without_ct: A sentence on each fault: which have none, or what of the two cannot be used.
    """

    cases: tuple[PredictedCase, ...]
    without_ct: tuple[str, ...] = ()


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
        InputError: If, after the others were reported, a file is missing or unusable, a CT is not the one that was
            segmented, or a page cannot be written.
    """
    several = prediction.is_dir()
    if several and output is not None and output.is_file():
        raise InputError(f"-o {output}: expected a folder for the pages of a folder of predictions, got a file")
    paired = pair_with_cts(prediction, source)
    failed = list(paired.without_ct)
    for case in paired.cases:
        path = case.labels.with_name(f"{case.name}.html")
        if output is not None:
            path = output / path.name if several or output.is_dir() else output
        try:
            _report_prediction(case, path, progress)
        except InputError as error:
            if not several:
                raise
            failed.append(str(error))
    if failed:
        raise InputError(f"{len(failed)} prediction(s) could not be reported: " + "; ".join(failed))


def _report_prediction(case: PredictedCase, path: Path, progress: Progress) -> None:
    report_path = case.labels.with_name(f"{case.name}.json")
    page = prediction_page(case.labels, report_path, case.ct)
    for doubt in doubts(read_prediction_report(report_path), case.labels, case.ct):
        progress(f"warning: {case.name}: {doubt}")
    _write(path, page, progress)


def pair_with_cts(prediction: Path, source: Path) -> PairedCases:
    """Pair predictions with CTs by case name; one file with one CT, whatever their names.

    Raises:
        InputError: If there is no prediction, or none has a CT.
    """
    predicted = list_images(prediction)
    cts = {listed.case: listed for listed in list_images(source)}
    if prediction.is_file() and source.is_file():
        return PairedCases((PredictedCase(predicted[0].case, predicted[0].path, source),))
    cases, faults, missing = [], [], []
    for listed in predicted:
        ct = cts.get(listed.case)
        if listed.fault:
            faults.append(listed.fault)
        elif ct is None:
            missing.append(listed.case)
        elif ct.fault:
            faults.append(ct.fault)
        else:
            cases.append(PredictedCase(listed.case, listed.path, ct.path))
    if missing:
        faults.append(
            f"-i {source}: expected a CT for each prediction, found none for {', '.join(missing)}; add the CTs"
        )
    if not cases:
        raise InputError("; ".join(faults))
    return PairedCases(tuple(cases), tuple(faults))


def _write(path: Path, page: str, progress: Progress) -> None:
    size_mb = write_page(path, page)
    progress(f"wrote {path} ({size_mb:.1f} MB)")
