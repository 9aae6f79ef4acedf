"""``soars-evaluate``: DSC, HD and ASD per organ and tier over folders of label volumes.

Pairs prediction and reference files, checks that each pair lies on one grid, scores it
(metrics.py) and summarises. Axes: (Z, Y, X), mm.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet import __version__
from soars_nnunet.label_map import check_same_grid, read_label_map
from soars_nnunet.metrics import MISSED, NOT_IN_REFERENCE, OrganScore, label_volume, resolve_labels, score_case
from soars_nnunet.profile import TIERS, Profile

logger = logging.getLogger(__name__)

ENDINGS = (".nii.gz", ".nrrd", ".mha", ".nii")
"""Endings of label files; a case's name is the file name without it."""

METRICS = ("dsc", "hd_mm", "asd_mm")


@dataclass(frozen=True)
class Summary:
    """One metric over several values.

    Attributes:
        n: Number of values.
        mean: Their mean; None without values.
        std: Their sample standard deviation (n - 1); None below two values.
    """

    n: int
    mean: float | None
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise values; an empty sequence gives n 0 and no mean."""
        mean = float(np.mean(values)) if values else None
        return cls(len(values), mean, float(np.std(values, ddof=1)) if len(values) > 1 else None)


@dataclass(frozen=True)
class SummaryRow:
    """Summary of an organ over cases, or of a tier over organs.

    Attributes:
        name: Organ, tier or ``"all"``.
        tier: Tier of the row, ``"all"`` for the last one.
        dsc: Dice coefficient; missed organs count as 0.
        hd_mm: Maximum Hausdorff distance, mm; without missed organs, so read it beside ``missed``.
        asd_mm: Average symmetric surface distance, mm; without missed organs.
        missed: How often an organ of the reference was not predicted.
        not_in_reference: How often there was nothing to compare with.
    """

    name: str
    tier: str
    dsc: Summary
    hd_mm: Summary
    asd_mm: Summary
    missed: int
    not_in_reference: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of all cases and what could not be compared.

    Attributes:
        scores: One per case and organ, by case, then in the profile's order.
        profile: Name of the profile.
        prediction: Folder or file that was evaluated.
        reference: Folder or file it was compared with.
        unknown_in_prediction: Label names of the prediction that the profile does not know.
        unknown_in_reference: The same of the reference.
        not_predictable: Organs of the profile without a label in the prediction's list: they count as missed.
        predictions_without_reference: Cases that were left out.
        references_without_prediction: Cases that were left out because that was allowed.
    """

    scores: tuple[OrganScore, ...]
    profile: str = ""
    prediction: str = ""
    reference: str = ""
    unknown_in_prediction: tuple[str, ...] = ()
    unknown_in_reference: tuple[str, ...] = ()
    not_predictable: tuple[str, ...] = ()
    predictions_without_reference: tuple[str, ...] = ()
    references_without_prediction: tuple[str, ...] = ()

    def per_organ(self) -> list[SummaryRow]:
        """One row an organ, in the profile's order: each metric over the cases that have it; empty without scores."""
        groups: dict[str, list[OrganScore]] = {}
        for score in self.scores:
            groups.setdefault(score.organ, []).append(score)
        rows = []
        for organ, group in groups.items():
            values = {m: Summary.of([v for s in group if (v := getattr(s, m)) is not None]) for m in METRICS}
            missed, absent = (sum(s.status == status for s in group) for status in (MISSED, NOT_IN_REFERENCE))
            rows.append(SummaryRow(organ, group[0].tier, **values, missed=missed, not_in_reference=absent))
        return rows

    def per_tier(self) -> list[SummaryRow]:
        """One row a tier that has organs, then ``"all"``.

        As in the paper's tables, a mean is the mean over organs of the per-organ means, so each organ
        weighs the same however many cases have it. ``n`` is the number of organs averaged, ``std`` the
        spread of the organs' means; ``missed`` and ``not_in_reference`` are sums over organs.
        """
        organs = self.per_organ()
        rows = []
        for name in (*TIERS, "all"):
            group = [row for row in organs if name in ("all", row.tier)]
            if group:
                values = {
                    m: Summary.of([mean for row in group if (mean := getattr(row, m).mean) is not None])
                    for m in METRICS
                }
                missed, absent = sum(row.missed for row in group), sum(row.not_in_reference for row in group)
                rows.append(SummaryRow(name, name, **values, missed=missed, not_in_reference=absent))
        return rows


def evaluate_folders(
    prediction: Path,
    reference: Path,
    profile: Profile,
    prediction_labels: Path | None = None,
    reference_labels: Path | None = None,
    progress: Callable[[str], None] | None = None,
    allow_missing: bool = False,
) -> Evaluation:
    """Evaluate label files against references of the same name.

    Label names come from ``prediction_labels`` and ``reference_labels``, else from ``dataset.json`` in
    the folder (for the reference also in its parent, as in a raw nnU-Net dataset), else they are the profile's.

    Args:
        prediction: Folder, or one file (then only its case is evaluated).
        reference: Folder, or one file.
        profile: Organs to score.
        prediction_labels: JSON with ``labels`` (nnU-Net's dataset.json) of the prediction.
        reference_labels: The same of the reference.
        progress: Called before each case with ``"2/10 case"``.
        allow_missing: Accept references without prediction and list them.

    Returns:
        Scores of every pair, and what was left out.

    Raises:
        ValueError: If there is no pair, a reference has no prediction, a file cannot be read or holds no
            labels, a pair lies on two grids, or label names contradict each other.
    """
    pairs, extra, missing = _pair_cases(Path(prediction), Path(reference), allow_missing)
    labels_p = _labels_of(Path(prediction), prediction_labels, "prediction", parent=False)
    labels_r = _labels_of(Path(reference), reference_labels, "reference", parent=True)
    values_p, unknown_p = resolve_labels(labels_p, profile)
    unknown_r = resolve_labels(labels_r, profile)[1]
    not_predictable = tuple(organ.name for organ in profile.organs if organ.name not in values_p)
    scores: list[OrganScore] = []
    for number, (case, path_p, path_r) in enumerate(pairs, 1):
        if progress:
            progress(f"{number}/{len(pairs)} {case}")
        array_p, array_r, spacing_mm = _read_pair(path_p, path_r)
        scores += score_case(case, array_p, array_r, spacing_mm, profile, labels_p, labels_r)
    left_out = (unknown_p, unknown_r, not_predictable, extra, missing)
    evaluation = Evaluation(tuple(scores), profile.name, str(prediction), str(reference), *left_out)
    _warn_left_out(evaluation)
    return evaluation


def write_evaluation(evaluation: Evaluation, output: Path, stem: str = "evaluation") -> list[Path]:
    """Write ``<stem>.csv`` (a row per case and organ) and ``<stem>.json`` (rows, summaries, provenance).

    Each file is written under a temporary name and then renamed. None is an empty cell or ``null``.

    Args:
        evaluation: What to write; without scores the CSV has only its header.
        output: Folder; made if it does not exist.
        stem: File name without ending.

    Returns:
        The two paths, CSV first.

    Raises:
        ValueError: If the folder cannot be written.
    """
    names = [field.name for field in fields(OrganScore)]
    table = io.StringIO()
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(score) for score in evaluation.scores)
    document = {
        "provenance": {"package": "soars_nnunet", "version": __version__},
        **asdict(evaluation),
        "per_organ": [asdict(row) for row in evaluation.per_organ()],
        "per_tier": [asdict(row) for row in evaluation.per_tier()],
    }
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    paths = [Path(output) / f"{stem}.csv", Path(output) / f"{stem}.json"]
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, (table.getvalue(), text), strict=True):
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_text(content, encoding="utf-8", newline="")
            os.replace(temporary, path)
    except OSError as error:
        raise ValueError(f"expected a folder to write to, got {output} ({error}); choose another output") from error
    return paths


def format_table(evaluation: Evaluation) -> str:
    """Plain-text table: a row an organ, a rule, a row a tier; only the header without scores.

    ``n`` is the number of cases (organs in the tiers' rows) in the mean DSC.
    """
    rows = [("organ", "n", "DSC", "HD mm", "ASD mm", "missed", "no ref.")]
    organs = evaluation.per_organ()
    for row in (*organs, *evaluation.per_tier()):
        cells = (_cell(row.dsc, 3), _cell(row.hd_mm, 2), _cell(row.asd_mm, 2))
        rows.append((row.name, str(row.dsc.n), *cells, str(row.missed), str(row.not_in_reference)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1 : len(organs) + 1], rule, *lines[len(organs) + 1 :]])


def _warn_left_out(evaluation: Evaluation) -> None:
    for text, names in (
        ("label names of the prediction that the profile does not know", evaluation.unknown_in_prediction),
        ("label names of the reference that the profile does not know", evaluation.unknown_in_reference),
        ("organs without a label in the prediction's list, missed where present", evaluation.not_predictable),
        ("predictions without reference, left out", evaluation.predictions_without_reference),
        ("references without prediction, left out", evaluation.references_without_prediction),
    ):
        if names:
            logger.warning("%s: %s", text, ", ".join(names))


def _cell(summary: Summary, digits: int) -> str:
    if summary.mean is None:
        return "-"
    spread = "" if summary.std is None else f" ± {summary.std:.{digits}f}"
    return f"{summary.mean:.{digits}f}{spread}"


def _case_name(path: Path) -> str | None:
    return next((path.name[: -len(ending)] for ending in ENDINGS if path.name.endswith(ending)), None)


def _list_cases(path: Path, what: str) -> dict[str, Path]:
    if not path.exists():
        raise ValueError(f"{what}: expected a folder or a label file, got {path}, which does not exist; check the path")
    cases: dict[str, Path] = {}
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        case = _case_name(file)
        if not case or file.name.startswith(".") or not file.is_file():
            continue
        if case in cases:
            raise ValueError(f"{what}: expected one file per case, got {cases[case].name} and {file.name}; remove one")
        cases[case] = file
    if not cases:
        raise ValueError(f"{what}: expected label files ({', '.join(ENDINGS)}), got none in {path}; check the path")
    return cases


def _pair_cases(
    prediction: Path, reference: Path, allow_missing: bool
) -> tuple[list[tuple[str, Path, Path]], tuple[str, ...], tuple[str, ...]]:
    """Pairs (case, prediction, reference), then predictions and references that have no partner."""
    predicted, referenced = _list_cases(prediction, "prediction"), _list_cases(reference, "reference")
    if prediction.is_file() and reference.is_file():
        case, path = next(iter(predicted.items()))
        return [(case, path, next(iter(referenced.values())))], (), ()
    pairs = [(case, path, referenced[case]) for case, path in predicted.items() if case in referenced]
    if not pairs:
        raise ValueError(
            f"expected predictions and references of the same name, got {len(predicted)} in {prediction} (such as "
            f"'{next(iter(predicted))}') and {len(referenced)} in {reference} (such as '{next(iter(referenced))}'); "
            "rename the files"
        )
    extra = tuple(case for case in predicted if case not in referenced)
    missing = () if prediction.is_file() else tuple(case for case in referenced if case not in predicted)
    if missing and not allow_missing:
        raise ValueError(
            f"expected a prediction for each reference, got none in {prediction} for {', '.join(missing)}; "
            "predict them, or allow missing predictions"
        )
    return pairs, extra, missing


def _labels_of(path: Path, explicit: Path | None, what: str, parent: bool) -> dict[str, int] | None:
    """Label value by name for a folder of label files; None if nothing says so."""
    folder = (path.parent if path.is_file() else path).resolve()
    candidates = [folder / "dataset.json", *([folder.parent / "dataset.json"] if parent else [])]
    file = Path(explicit) if explicit else next((c for c in candidates if c.is_file()), None)
    if file is None:
        logger.info("%s: no dataset.json beside %s; assuming the profile's own labels", what, path)
        return None
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{what} labels: expected a JSON file, got {file} ({error}); check the path") from error
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, dict) or not all(type(value) is int and value >= 0 for value in labels.values()):
        raise ValueError(
            f'{what} labels: expected {{"labels": {{"background": 0, name: integer, ...}}}}, got something else in '
            f"{file}; regions and nnU-Net v1's inverted lists are not supported, write a file and name it"
        )
    logger.info("%s: label names from %s", what, file)
    return labels


def _read_pair(prediction: Path, reference: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Both label arrays (Z, Y, X) and the reference's spacing (Z, Y, X) in mm."""
    image_p, image_r = read_label_map(prediction), read_label_map(reference)
    check_same_grid(image_p, reference, str(prediction))
    arrays = (label_volume(sitk.GetArrayFromImage(i), str(p)) for i, p in ((image_p, prediction), (image_r, reference)))
    return *arrays, image_r.GetSpacing()[::-1]
