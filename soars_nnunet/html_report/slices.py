"""Figures of the slices of a prediction that show most organs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import find_objects

from soars_nnunet.html_report.contours import PLANES, Color, choose_slices, slice_figure
from soars_nnunet.html_report.page import Markup, escape, picture, settings

DRAWN_ORIENTATION = "LPS"
"""SimpleITK code whose arrays (Z, Y, X) have the patient's right on the left and the front up, as slices are read."""

AIR_HU = -400
"""What is denser belongs to the patient or the couch."""


@dataclass(frozen=True)
class DrawnOrgan:
    """An organ on the page.

    Attributes:
        name: What it is called.
        label: Its value in the label volume.
        color: Of its contour, its surface and its name.
    """

    name: str
    label: int
    color: Color


def swatch(color: Color) -> Markup:
    """A small square of a colour."""
    red, green, blue = (round(255 * part) for part in color)
    return Markup(f'<span class="swatch" style="background:#{red:02x}{green:02x}{blue:02x}"></span>')


def slice_figures(ct: sitk.Image, labels: sitk.Image, organs: Sequence[DrawnOrgan]) -> Markup:
    """Figures of the slices that show most organs; air around the patient is cut off.

    Args:
        ct: In HU.
        labels: On the same grid.
        organs: Those to draw.
    """
    ct = sitk.DICOMOrient(ct, DRAWN_ORIENTATION)
    labels = sitk.DICOMOrient(labels, DRAWN_ORIENTATION)
    whole_hu = sitk.GetArrayFromImage(ct)
    box = _body_box(whole_hu)
    ct_hu = whole_hu[box]
    values = sitk.GetArrayFromImage(labels)[box]
    spacing_mm = labels.GetSpacing()[::-1]
    window_hu = next(iter(settings()["windows_hu"].values()))
    by_label = {organ.label: organ for organ in organs}
    colors = {organ.label: organ.color for organ in organs}
    figures = ""
    for place in choose_slices(values):
        figure, drawn = slice_figure(ct_hu, values, place, colors=colors, window_hu=window_hu, spacing_mm=spacing_mm)
        number = place.index + box[place.axis].start + 1
        title = f"{PLANES[place.axis]} slice {number} of {whole_hu.shape[place.axis]}"
        keys = ""
        for label in drawn:
            keys += _key(by_label[label])
        figures += picture(figure, title, Markup(f'<b>{title}</b><br><span class="keys">{keys}</span>'))
    return Markup(f'<div class="slices">{figures}</div>')


def _key(organ: DrawnOrgan) -> str:
    """Colour and name of an organ below a figure."""
    return f'<span class="key">{swatch(organ.color)}{escape(organ.name)}</span> '


def _body_box(ct_hu: np.ndarray) -> tuple[slice, ...]:
    """Box (Z, Y, X) of what is denser than air; the whole volume if nothing is."""
    boxes = find_objects((ct_hu > AIR_HU).view(np.uint8))
    if boxes:
        return boxes[0]
    return tuple(slice(0, size) for size in ct_hu.shape)
