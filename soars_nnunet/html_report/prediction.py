"""The page of a prediction: organs with volume, status and confidence, slices with contours, the viewer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.html_report.contours import PLANES, Color, choose_slices, organ_colors, slice_figure
from soars_nnunet.html_report.page import Markup, escape, facts, page, picture, section, settings, table
from soars_nnunet.html_report.viewer import viewer
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import check_same_grid, read_label_map

DRAWN_ORIENTATION = "LPS"
"""SimpleITK code whose arrays (Z, Y, X) have the patient's right on the left and the front up, as slices are read."""


def read_prediction_json(path: Path) -> dict[str, Any]:
    """Read the report that ``soars-cascade-predict`` writes beside each label file.

    Raises:
        InputError: If it is absent or something else.
    """
    data = read_json(path)
    organs = data.get("organs") if isinstance(data, dict) else None
    if not isinstance(organs, dict) or not all(
        isinstance(row, dict) and {"label", "volume_ml", "status"} <= set(row) and isinstance(row["label"], int)
        for row in organs.values()
    ):
        raise InputError(
            f"{path}: expected the report of soars-cascade-predict (organs with label, volume_ml, status), got another "
            "JSON file; predict again"
        )
    return data


def prediction_page(labels_path: Path, report_path: Path, ct_path: Path) -> str:
    """HTML of one predicted case.

    Args:
        labels_path: Label file.
        report_path: The report beside it.
        ct_path: The CT that was segmented; must have the labels' grid.

    Raises:
        InputError: If a file is unusable or the grids differ.
    """
    report = read_prediction_json(report_path)
    labels, ct = read_label_map(labels_path), read_ct(ct_path)
    check_same_grid(labels, ct_path, str(labels_path))
    ct.CopyInformation(labels)
    names = list(report["organs"])
    colors = organ_colors(names)
    organs = [(name, report["organs"][name]["label"], colors[name]) for name in names]
    parts = [
        _summary(report, labels, ct_path),
        section(
            "Organs",
            _organ_table(report, colors),
            note="Confidence: height of the heat-map peak, or mean probability inside the organ.",
        ),
        section("Slices", _slices(ct, labels, organs), note="The patient's right is on the left; front or head up."),
    ]
    interactive, scripts = viewer(ct, labels, organs)
    parts.insert(2, interactive)
    parts += [*_targets(report), section("Made with", _provenance(report))]
    return page(f"Prediction of {report.get('case', labels_path.name)}", parts, scripts)


def _swatch(color: Color) -> Markup:
    red, green, blue = (round(255 * part) for part in color)
    return Markup(f'<span class="swatch" style="background:#{red:02x}{green:02x}{blue:02x}"></span>')


def _summary(report: dict[str, Any], labels: sitk.Image, ct_path: Path) -> Markup:
    counts = Counter(row["status"].replace("_", " ") for row in report["organs"].values())
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in report.get("warnings", ()))
    about = {
        "CT": ct_path.name,
        "size": f"{' × '.join(map(str, labels.GetSize()))} voxels (x, y, z)",
        "spacing": f"{' × '.join(f'{mm:.3g}' for mm in labels.GetSpacing())} mm",
        "profile": report.get("profile"),
        "organs": ", ".join(f"{count} {status}" for status, count in counts.items()),
    }
    return section("Case", facts(about), warnings)


def _organ_table(report: dict[str, Any], colors: dict[str, Color]) -> Markup:
    marks = settings()["status_colors"]
    rows = []
    for name, row in report["organs"].items():
        status = escape(row["status"].replace("_", " "))
        if row["status"] in marks:
            status = Markup(f'<strong style="color:{marks[row["status"]]}">{status}</strong>')
        confidence = row.get("confidence")
        shown = [f"{row['volume_ml']:.2f}", status, None if confidence is None else f"{confidence:.2f}"]
        rows.append([Markup(_swatch(colors[name]) + escape(name)), row["label"], row.get("tier"), *shown])
    return table(["organ", "label", "tier", "volume, ml", "status", "confidence"], rows)


def _slices(ct: sitk.Image, labels: sitk.Image, organs: list[tuple[str, int, Color]]) -> Markup:
    """Figures of the slices that show most organs; air around the patient is cut off."""
    drawn_ct, drawn_labels = (sitk.DICOMOrient(image, DRAWN_ORIENTATION) for image in (ct, labels))
    spacing_mm = drawn_labels.GetSpacing()[::-1]
    ct_hu, values = sitk.GetArrayFromImage(drawn_ct), sitk.GetArrayFromImage(drawn_labels)
    box = _body_box(ct_hu)
    ct_hu, values = ct_hu[box], values[box]
    window_hu = next(iter(settings()["windows_hu"].values()))
    names, colors = {label: name for name, label, _ in organs}, {label: color for _, label, color in organs}
    figures = []
    for place in choose_slices(values):
        figure, drawn = slice_figure(ct_hu, values, place, colors, window_hu, spacing_mm)
        keys = (f'<span class="key">{_swatch(colors[label])}{escape(names[label])}</span> ' for label in drawn)
        start = box[place.axis].start
        title = f"{PLANES[place.axis]} slice {place.index + start + 1} of {drawn_labels.GetSize()[2 - place.axis]}"
        figures.append(picture(figure, title, Markup(f'<b>{title}</b><br><span class="keys">{"".join(keys)}</span>')))
    return Markup(f'<div class="slices">{"".join(figures)}</div>')


def _body_box(ct_hu: np.ndarray) -> tuple[slice, ...]:
    """Box (Z, Y, X) of what is denser than air; the whole volume if nothing is."""
    dense = ct_hu > -400
    spans = [np.flatnonzero(dense.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not spans[0].size:
        return tuple(slice(0, size) for size in ct_hu.shape)
    return tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)


def _targets(report: dict[str, Any]) -> list[Markup]:
    rows = report.get("targets") or {}
    if not rows:
        return []
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    return [
        section(
            "Detected centres",
            table(
                ["target", *(key.replace("_", " ") for key in keys)],
                [[name, *(_plain(row.get(key)) for key in keys)] for name, row in rows.items()],
            ),
            note="Centres in the patient's LPS coordinates (x, y, z), mm.",
        )
    ]


def _plain(value: Any) -> Any:
    """A cell: numbers short, lists joined, words spaced."""
    if isinstance(value, list):
        return ", ".join(str(_plain(item)) for item in value)
    if isinstance(value, float):
        return f"{value:.2f}"
    return value.replace("_", " ") if isinstance(value, str) else value


def _provenance(report: dict[str, Any]) -> Markup:
    models = (report.get("models") or {}).items()
    return facts(
        {
            **{f"{key} model": f"{model['name']}, folds {_plain(list(model['folds']))}" for key, model in models},
            "largest part of": ", ".join(report.get("largest_part") or ()),
            "versions": ", ".join(f"{name} {_plain(v)}" for name, v in (report.get("provenance") or {}).items()),
            "seconds": ", ".join(f"{stage} {seconds}" for stage, seconds in (report.get("seconds") or {}).items()),
        }
    )
