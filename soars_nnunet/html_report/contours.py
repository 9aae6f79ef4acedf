"""CT slices with organ contours, drawn with matplotlib; and colours by organ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import find_objects

from soars_nnunet.images.organ_colors import organ_colors

Color = tuple[float, float, float]
"""Red, green, blue; 0 to 1."""

SHOWN = 0.5
"""An organ counts as shown by a slice in which its area is at least so much of its largest."""

WIDTH_INCH = 5.6
"""Width of a figure of one slice."""

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Slice:
    """One slice to draw: the axis (0 axial, 1 coronal, 2 sagittal) that it is perpendicular to, and its index."""

    axis: int
    index: int


def drawn_colors(labels: Mapping[str, int]) -> dict[str, Color]:
    """A colour an organ: those of the table that viewers get, too (``images.organ_colors``).

    Args:
        labels: Value by name.
    """
    colors = {}
    for name, (red, green, blue) in organ_colors(labels).items():
        colors[name] = (red / 255, green / 255, blue / 255)
    return colors


def choose_slices(labels: np.ndarray, most_axial: int = 6) -> list[Slice]:
    """Axial slices that together show as many organs as they can, then one coronal and one sagittal slice.

    Args:
        labels: (Z, Y, X) whole numbers, 0 is background.
        most_axial: Largest number of axial slices.

    Returns:
        Slices, the axial ones from head to feet (Z runs feet to head); the middle ones if there are no labels.
    """
    areas = _axial_areas(labels)
    if not len(areas):
        return [Slice(axis, size // 2) for axis, size in enumerate(labels.shape)]
    chosen = _covering_slices(areas, most_axial)
    slices = [Slice(0, index) for index in sorted(chosen, reverse=True)]
    for axis in (1, 2):
        slices.append(Slice(axis, _fullest_slice(labels, axis)))
    return slices


def _axial_areas(labels: np.ndarray) -> np.ndarray:
    """Voxels of each label that is there in each axial slice: (labels, Z)."""
    boxes = find_objects(labels)
    areas = np.zeros((len(boxes), labels.shape[0]))
    for row, box in enumerate(boxes):
        if box is not None:
            areas[row, box[0]] = (labels[box] == row + 1).sum(axis=(1, 2))
    return areas[areas.any(axis=1)]


def _covering_slices(areas: np.ndarray, most: int) -> list[int]:
    """Slices that together show all labels, or as many as ``most`` slices can: the one that adds most comes first."""
    share = areas / areas.max(axis=1, keepdims=True)
    waiting = np.ones(len(areas), bool)
    chosen: list[int] = []
    while waiting.any() and len(chosen) < most:
        newly_shown = (share[waiting] >= SHOWN).sum(axis=0)
        best = int((newly_shown + share[waiting].mean(axis=0)).argmax())
        chosen.append(best)
        waiting &= share[:, best] < SHOWN
    return chosen


def _fullest_slice(labels: np.ndarray, axis: int) -> int:
    """The middle one of the slices across an axis that show most labels."""
    visible = np.array([len(np.unique(np.take(labels, index, axis))) for index in range(labels.shape[axis])])
    best = np.flatnonzero(visible == visible.max())
    return int(best[len(best) // 2])


def draw_slice(
    axes: Axes,
    ct_hu: np.ndarray,
    labels: np.ndarray,
    place: Slice,
    *,
    colors: Mapping[int, Color],
    window_hu: Sequence[float] = (-160, 240),
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> list[int]:
    """Draw one slice with the contours of the labels in it, head or front up, the patient's right on the left.

    Args:
        axes: Where to; its ticks are removed.
        ct_hu: (Z, Y, X), Z to the head, Y to the back, X to the patient's left.
        labels: The same grid, whole numbers.
        place: Which slice.
        colors: Contour colour by label; labels without one are not drawn.
        window_hu: Darkest and brightest HU.
        spacing_mm: Voxel size (Z, Y, X).

    Returns:
        Labels drawn, ascending.
    """
    upward = slice(None) if place.axis == 0 else slice(None, None, -1)
    down_mm, across_mm = _in_plane(spacing_mm, place)
    axes.imshow(
        np.take(ct_hu, place.index, place.axis)[upward],
        cmap="gray",
        vmin=window_hu[0],
        vmax=window_hu[1],
        aspect=down_mm / across_mm,
    )
    flat = np.take(labels, place.index, place.axis)[upward]
    drawn = []
    for label, box in enumerate(find_objects(flat), 1):
        if box is None or label not in colors:
            continue
        corner = [part.start for part in box]
        mask = np.pad(flat[box] == label, 1).astype(float)  # a border of background closes the contour
        rows = np.arange(mask.shape[0]) + corner[0] - 1
        columns = np.arange(mask.shape[1]) + corner[1] - 1
        axes.contour(columns, rows, mask, levels=[0.5], colors=[colors[label]], linewidths=1.2)
        drawn.append(label)
    axes.axis("off")
    return drawn


def slice_figure(
    ct_hu: np.ndarray,
    labels: np.ndarray,
    place: Slice,
    *,
    colors: Mapping[int, Color],
    window_hu: Sequence[float],
    spacing_mm: Sequence[float],
) -> tuple[Figure, list[int]]:
    """A figure of one slice alone (see ``draw_slice``), and the labels drawn."""
    down_mm, across_mm = _in_plane(np.multiply(labels.shape, spacing_mm).tolist(), place)
    figure = Figure(figsize=(WIDTH_INCH, WIDTH_INCH * down_mm / across_mm), facecolor="black")
    axes = figure.add_axes((0, 0, 1, 1))
    drawn = draw_slice(axes, ct_hu, labels, place, colors=colors, window_hu=window_hu, spacing_mm=spacing_mm)
    return figure, drawn


def _in_plane(values: Sequence[float], place: Slice) -> tuple[float, float]:
    """The two of the values (Z, Y, X) that belong to a slice's own axes: down, then across."""
    down, across = [value for axis, value in enumerate(values) if axis != place.axis]
    return down, across
