"""The page of a prediction: organs with volume, status and confidence, slices with contours, the viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from soars_nnunet.html_report.belonging import doubts
from soars_nnunet.html_report.contours import drawn_colors
from soars_nnunet.html_report.page import Cell, Markup, escape, facts, page, section, settings, table
from soars_nnunet.html_report.prediction_report import PredictionReport, ReportedOrgan, read_prediction_report
from soars_nnunet.html_report.slices import DrawnOrgan, slice_figures, swatch
from soars_nnunet.html_report.viewer import viewer
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import check_same_grid, read_label_map

CONFIDENCE_NOTE = "Confidence: height of the heat-map peak, or mean probability inside the organ."
CENTER_NOTE = "Centres in the patient's LPS coordinates (x, y, z), mm."
SIDE_NOTE = "The patient's right is on the left; front or head up."


def prediction_page(labels_path: Path, report_path: Path, ct_path: Path) -> str:
    """HTML of one predicted case.

    Args:
        labels_path: Label file.
        report_path: The report beside it.
        ct_path: The CT that was segmented; must have the labels' grid.

    Raises:
        InputError: If a file is unusable, the grids differ, or another CT was segmented.
    """
    report = read_prediction_report(report_path)
    report = replace(report, warnings=(*report.warnings, *doubts(report, labels_path, ct_path)))
    labels, ct = read_label_map(labels_path), read_ct(ct_path)
    check_same_grid(labels, ct_path, str(labels_path))
    ct.CopyInformation(labels)
    organs = drawn_organs(report)
    viewer_section, viewer_scripts = viewer(ct, labels, organs)
    parts = [
        _summary(report, labels, ct_path),
        section("Organs", [_organ_table(report.organs, organs)], note=CONFIDENCE_NOTE),
        viewer_section,
        section("Slices", [slice_figures(ct, labels, organs)], note=SIDE_NOTE),
    ]
    if report.targets:
        parts.append(section("Detected centres", [_target_table(report.targets)], note=CENTER_NOTE))
    parts.append(section("Made with", [_made_with(report)]))
    return page(f"Prediction of {report.case or labels_path.name}", parts, viewer_scripts)


def drawn_organs(report: PredictionReport) -> list[DrawnOrgan]:
    """The organs of a report with a colour each."""
    colors = drawn_colors({organ.name: organ.label for organ in report.organs})
    return [DrawnOrgan(organ.name, organ.label, colors[organ.name]) for organ in report.organs]


def _summary(report: PredictionReport, labels: sitk.Image, ct_path: Path) -> Markup:
    counts = Counter(organ.status.replace("_", " ") for organ in report.organs)
    size = " × ".join(str(voxels) for voxels in labels.GetSize())
    spacing = " × ".join(f"{mm:.3g}" for mm in labels.GetSpacing())
    about = facts(
        {
            "CT": ct_path.name,
            "size": f"{size} voxels (x, y, z)",
            "spacing": f"{spacing} mm",
            "profile": report.profile,
            "organs": ", ".join(f"{count} {status}" for status, count in counts.items()),
        }
    )
    parts = [about]
    for text in report.warnings:
        parts.append(Markup(f'<p class="warning">{escape(text)}</p>'))
    return section("Case", parts)


def _organ_table(organs: Sequence[ReportedOrgan], drawn: Sequence[DrawnOrgan]) -> Markup:
    status_colors = settings()["status_colors"]
    rows = []
    for organ, entry in zip(organs, drawn, strict=True):
        status = escape(organ.status.replace("_", " "))
        color = status_colors.get(organ.status)
        if color:
            status = Markup(f'<strong style="color:{color}">{status}</strong>')
        row: list[Cell] = [
            Markup(swatch(entry.color) + escape(organ.name)),
            organ.label,
            organ.tier,
            _volume(organ, status_colors),
            status,
            None if organ.confidence is None else f"{organ.confidence:.2f}",
        ]
        rows.append(row)
    return table(["organ", "label", "tier", "volume, ml", "status", "confidence"], rows)


def _volume(organ: ReportedOrgan, colors: Mapping[str, str]) -> Cell:
    """Volume, ml; with what training has where it is far outside."""
    text = f"{organ.volume_ml:.2f}"
    if not isinstance(organ.volume_flag, str) or not organ.training_ml:
        return text
    low, high = organ.training_ml
    said = f"{organ.volume_flag.replace('_', ' ')} ({low:.3g} to {high:.3g})"
    return Markup(f'{text} <strong style="color:{colors["low_confidence"]}">{escape(said)}</strong>')


def _target_table(targets: Mapping[str, Mapping[str, Any]]) -> Markup:
    """A row a target, a column whatever the report says of any."""
    columns: dict[str, str] = {}
    for found in targets.values():
        for key in found:
            columns[key] = key.replace("_", " ")
    rows = []
    for name, found in targets.items():
        row: list[Cell] = [name]
        for key in columns:
            row.append(_plain(found.get(key)))
        rows.append(row)
    return table(["target"] + list(columns.values()), rows)


def _plain(value: Any) -> Cell:
    """A cell: numbers short, lists joined, words spaced."""
    if isinstance(value, list):
        return ", ".join(str(_plain(item)) for item in value)
    if isinstance(value, float):
        return f"{value:.2f}"
    return value.replace("_", " ") if isinstance(value, str) else value


def _made_with(report: PredictionReport) -> Markup:
    pairs: dict[str, Cell] = {}
    if report.bundle:
        pairs["bundle"] = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in report.bundle.items())
    for branch, model in report.models.items():
        pairs[f"{branch} model"] = f"{model['name']}, folds {_plain(list(model['folds']))}"
    pairs["largest part of"] = ", ".join(report.largest_part)
    pairs["versions"] = ", ".join(f"{name} {_plain(version)}" for name, version in report.versions.items())
    pairs["seconds"] = ", ".join(f"{stage} {seconds}" for stage, seconds in report.seconds.items())
    return facts(pairs)
