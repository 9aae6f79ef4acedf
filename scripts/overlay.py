"""CT slices with contours, reference above prediction; what the demo and the experiments draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import find_objects

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.case_volumes import resolve_labels
from soars_nnunet.html_report.contours import Color, Slice, draw_slice
from soars_nnunet.html_report.slices import DRAWN_ORIENTATION
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.profile import Profile

PANEL_INCH = 4.0
"""Height of a slice in a figure."""
MARGIN_INCH = 1.0
"""Height of titles and legend."""
DPI = 80


@dataclass(frozen=True)
class Volumes:
    """A CT and label volumes on its grid, the patient's right on the left and the front up.

    Attributes:
        ct_hu: (Z, Y, X).
        labels: By what they are, such as reference and prediction; (Z, Y, X), the profile's labels.
        spacing_mm: Voxel size (Z, Y, X).
    """

    ct_hu: np.ndarray
    labels: Mapping[str, np.ndarray]
    spacing_mm: Sequence[float]

    def cropped(self, name: str, margin_mm: float) -> "Volumes":
        """The box of a label volume's organs, and what lies within a margin of it; all where it has no organs."""
        boxes = find_objects((self.labels[name] > 0).view(np.uint8))
        if not boxes:
            return self
        parts = []
        for part, spacing_mm in zip(boxes[0], self.spacing_mm, strict=True):
            margin = round(margin_mm / spacing_mm)
            parts.append(slice(max(0, part.start - margin), part.stop + margin))
        box = tuple(parts)
        labels = {other: volume[box] for other, volume in self.labels.items()}
        return Volumes(self.ct_hu[box], labels, self.spacing_mm)

    def width_per_height(self, place: Slice) -> float:
        """Of a slice, as it is drawn."""
        sizes_mm = np.multiply(self.ct_hu.shape, self.spacing_mm).tolist()
        down_mm, across_mm = [size for axis, size in enumerate(sizes_mm) if axis != place.axis]
        return across_mm / down_mm

    def middle(self, name: str, label: int) -> list[int]:
        """Voxel (Z, Y, X) nearest to the centre of mass of a label in the label volume of this name."""
        center_vox = np.argwhere(self.labels[name] == label).mean(0)
        return center_vox.round().astype(int).tolist()


def read_volumes(ct: Path, labels: Mapping[str, tuple[Path, Path | None]], profile: Profile) -> Volumes:
    """Read a CT and label maps on its grid.

    Args:
        ct: Its file.
        labels: By what they are: label file, and the dataset.json that names its labels; None for the profile's own.
        profile: The organs; other labels become background.
    """
    image = sitk.DICOMOrient(read_ct(ct), DRAWN_ORIENTATION)
    volumes = {}
    for name, (path, names) in labels.items():
        oriented = sitk.DICOMOrient(read_label_map(path), DRAWN_ORIENTATION)
        own = None if names is None else read_json(names)["labels"]
        volumes[name] = in_profile_labels(sitk.GetArrayFromImage(oriented), own, profile)
    return Volumes(sitk.GetArrayFromImage(image), volumes, image.GetSpacing()[::-1])


def in_profile_labels(volume: np.ndarray, labels: Mapping[str, int] | None, profile: Profile) -> np.ndarray:
    """A label volume with the profile's labels.

    Args:
        volume: (Z, Y, X).
        labels: Label in the volume by name; None for the profile's own.
        profile: The organs; labels of others become background.
    """
    values, _ = resolve_labels(labels, profile)
    translated = np.zeros(volume.shape, np.uint8)
    for organ, value in values.items():
        translated[volume == value] = profile.by_name[organ].label
    return translated


def draw_rows(
    volumes: Volumes,
    views: Mapping[str, Slice],
    colors: Mapping[int, Color],
    *,
    window_hu: Sequence[float],
    title: str,
    legend: Mapping[str, Color] | None = None,
) -> Figure:
    """A row of slices for each label volume.

    Args:
        volumes: What is drawn.
        views: Slices by their titles.
        colors: Contour colour by label.
        window_hu: Darkest and brightest HU.
        title: Above everything.
        legend: Colour by name, below everything.
    """
    widths = [volumes.width_per_height(place) for place in views.values()]
    rows = len(volumes.labels)
    height = PANEL_INCH * rows + MARGIN_INCH
    figure = Figure(figsize=(PANEL_INCH * sum(widths), height), layout="constrained")
    axes = figure.subplots(rows, len(views), squeeze=False, width_ratios=widths)
    for row, (name, labels) in enumerate(volumes.labels.items()):
        for column, (view, place) in enumerate(views.items()):
            panel = axes[row, column]
            draw_slice(
                panel,
                volumes.ct_hu,
                labels,
                place,
                colors=colors,
                window_hu=window_hu,
                spacing_mm=volumes.spacing_mm,
            )
            panel.set_title(f"{name}: {view}", fontsize=10)
    figure.suptitle(title)
    if legend:
        handles = [Line2D([], [], color=color, label=organ, linewidth=2) for organ, color in legend.items()]
        figure.legend(handles=handles, loc="outside lower center", ncol=len(handles), frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
