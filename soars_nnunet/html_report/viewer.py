"""The interactive part of a prediction's page: NiiVue and the volumes, all inside the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import SimpleITK as sitk

from soars_nnunet.html_report.page import Markup, escape, json_script, package_text, section, settings
from soars_nnunet.html_report.slices import DrawnOrgan
from soars_nnunet.html_report.volumes import LOW_HU, STEP_HU, centers_mm, embed

NIIVUE_VERSION = "0.69.0"
"""Of ``niivue.umd.js``: dist/niivue.umd.js of npm's @niivue/niivue, BSD-2-Clause, unmodified."""

VIEWS = {
    "slices and 3D": "multi",
    "axial": "axial",
    "coronal": "coronal",
    "sagittal": "sagittal",
    "3D organs": "render",
}
"""Key of each view in ``viewer.js`` by the text of its button."""

FIRST_VIEW = "multi"


def viewer(ct: sitk.Image, labels: sitk.Image, organs: Sequence[DrawnOrgan]) -> tuple[Markup, Markup]:
    """Section and scripts of the viewer.

    Args:
        ct: In HU.
        labels: On the same grid.
        organs: Those without a voxel are left out of the list.

    Returns:
        HTML of the section, and of the scripts for the end of the page.
    """
    embedded = embed(ct, labels)
    windows = settings()["windows_hu"]
    spacing = " × ".join(f"{mm:.2g}" for mm in embedded.spacing_mm)
    part = f"cropped to the organs, {spacing} mm" if embedded.cropped else f"{spacing} mm"
    note = (
        f"For orientation only: {part}, CT in steps of {STEP_HU} HU from {LOW_HU} to {LOW_HU + 255 * STEP_HU}. "
        "Click to move the crosshair, drag to turn the 3D view; click an organ's name to go there."
    )
    html = section("Viewer", _controls(windows), note=note)
    data = {
        "organs": _organ_entries(organs, centers_mm(labels)),
        "windows": windows,
        "ct": embedded.ct,
        "labels": embedded.labels,
    }
    library = package_text("niivue.umd.js").replace("</script", "<\\/script")
    banner = f"/* NiiVue {NIIVUE_VERSION} and the packages in it:\n{package_text('niivue.LICENSES.txt')}*/\n"
    scripts = f"<script>{banner}{library}</script>\n<script>{package_text('viewer.js')}</script>\n"
    return html, Markup(json_script("viewer-data", data) + "\n" + scripts)


def _organ_entries(organs: Sequence[DrawnOrgan], centers: Mapping[int, list[float]]) -> list[dict[str, Any]]:
    """What the script needs of each organ that has a voxel."""
    entries = []
    for organ in organs:
        if organ.label not in centers:
            continue
        rgb = [round(255 * part) for part in organ.color]
        entries.append({"name": organ.name, "label": organ.label, "rgb": rgb, "center": centers[organ.label]})
    return entries


def _controls(windows: dict[str, list[float]]) -> Markup:
    views = ""
    for text, key in VIEWS.items():
        pressed = "true" if key == FIRST_VIEW else "false"
        views += f'<button type="button" data-view="{key}" aria-pressed="{pressed}">{escape(text)}</button>'
    options = ""
    for name, (low, high) in windows.items():
        options += f'<option value="{escape(name)}">{escape(name)} ({low:g} to {high:g} HU)</option>'
    return Markup(
        '<div id="viewer" data-state="loading"><noscript><p>The viewer needs JavaScript; tables and slices do not.</p>'
        f'</noscript><div class="bar"><span>{views}</span><label>window <select id="window">{options}</select></label>'
        '<label>organs <input id="opacity" type="range" min="0" max="1" step="0.05" value="0.5"></label>'
        '<span><button type="button" id="all">all</button> <button type="button" id="none">none</button></span></div>'
        '<div class="stage"><div class="canvas"><canvas id="niivue" aria-label="CT with organs"></canvas></div>'
        '<div class="organs" id="organs"></div></div><p id="place" role="status"></p></div>'
    )
