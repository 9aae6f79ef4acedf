"""Whether a CT can be one of a head and neck, judged before any network runs: scale of HU, noise, extent in mm.

What is clearly wrong is refused in one line that names the likely cause; what is doubtful gives sentences for the user.
Limits are ours: the 203 CTs of OpenKBP, of which many hold little but a contour, stay far from all of them. No torch
here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError

BODY_HU = -300.0
"""Above air and the lungs' parenchyma, below fat."""

TISSUE_HU = (-200.0, 200.0)
"""Fat, water, muscle and spongy bone: most of a body."""

NO_AIR_HU = -600.0
"""Lower values are air, lung or padding."""

LEAST_TISSUE = 0.5
"""Share of ``TISSUE_HU`` in a body below which values are no HU; OpenKBP has 0.75 and more."""

TISSUE_SPREAD_HU = (20.0, 300.0)
"""Between the quartiles of a body: fat and muscle are 100 to 150 HU apart."""

NEAR_AIR_HU = (-1150.0, -850.0)
"""Where the lowest values of a CT with air lie."""

MOST_UNIFORM = 0.42
"""Share of -15..15 in a body above which contrast is too low for HU; OpenKBP has 0.37 and less for -20..20."""

LEAST_SMOOTH, LIKELY_SMOOTH = 0.3, 0.6
"""Correlation of neighbouring voxels: below the first there is noise alone; OpenKBP has 0.88 and more."""

LEAST_EXTENT_MM, MOST_EXTENT_MM = 60.0, 1200.0
"""A body's larger extent across the patient: neither a head of 6 cm nor shoulders of 1.2 m exist."""

LIKELY_EXTENT_MM = (110.0, 700.0)
"""OpenKBP has 126 to 620 mm."""

LEAST_VOXELS = 20_000
"""With fewer an image is a small part of a CT, in which a body cannot be told: nothing is refused."""

MOST_HEIGHT_MM = 2600.0
"""No patient is taller."""

LOST_EXTENT_MM = (90.0, 160.0)
"""The same limits for a spacing of exactly 1 mm in all directions, which is where headers are empty."""

LIKELY_HEIGHT_MM = 40.0
"""A lower scan may have lost the distance of its slices."""

LOST_SIZE = 256
"""Pixels a row from which 1 mm in all directions is unusual: a field of view of exactly 256 or 512 mm."""

LEAST_LIKELIHOOD = 0.3
"""Of mended values, from which the fault is named; those of a CT have 0.7 to 1.5, ours."""

SAMPLE_VOXELS = 1_000_000
"""About so many voxels serve for statistics."""

UNITS = (("cm", 10.0), ("m", 1000.0), ("inches", 25.4), ("tenths of a mm", 0.1), ("micrometres", 1e-3))
"""Units that headers were seen in, and how many mm they have."""


@dataclass(frozen=True)
class Fault:
    """A way in which HU are spoilt.

    Attributes:
        name: Completes "as in".
        mend: Gives HU again.
        advice: What to do.
    """

    name: str
    mend: Callable[[np.ndarray], np.ndarray]
    advice: str


FAULTS = (
    Fault("HU times 10", lambda values: values / 10, "divide by 10"),
    Fault("HU times 100", lambda values: values / 100, "divide by 100"),
    Fault("HU divided by 10", lambda values: values * 10, "multiply by 10"),
    Fault("HU divided by 100", lambda values: values * 100, "multiply by 100"),
    Fault("negated HU", lambda values: -values, "change the sign"),
    Fault("negated HU times 10", lambda values: -values / 10, "change the sign and divide by 10"),
    Fault("an offset that was subtracted twice", lambda values: values + 1000, "add 1000 or 1024"),
    Fault("an offset that was not subtracted", lambda values: values - 1000, "subtract 1000 or 1024"),
    Fault("HU times 5", lambda values: values / 5, "divide by 5"),
    Fault("HU times 2", lambda values: values / 2, "divide by 2"),
)
"""That which gives the likeliest HU is named."""


def check_plausible(image: sitk.Image, name: str) -> list[str]:
    """Refuse an image that no patient can have given.

    Args:
        image: That ``check_ct`` accepts.
        name: Case or file name for the messages.

    Returns:
        What is doubtful, a sentence each; empty where nothing is.

    Raises:
        InputError: With one line, if it has at least ``LEAST_VOXELS``, and values are noise or no HU, or there is no
            body, or a far too small or large one.
    """
    values = sitk.GetArrayViewFromImage(image)
    try:
        return [*_check_values(_strided(values, keep_rows=True), name), *_check_extent(values, image, name)]
    except InputError as error:
        if values.size >= LEAST_VOXELS:
            raise
        return [f"few voxels, and {str(error).removeprefix(f'{name}: ')}"]


def _strided(values: np.ndarray, *, keep_rows: bool) -> np.ndarray:
    """About ``SAMPLE_VOXELS`` voxels of (Z, Y, X) at an even stride, float32; X whole where neighbours matter."""
    excess = max(1.0, values.size / SAMPLE_VOXELS)
    stride = math.ceil(excess ** (1 / 2 if keep_rows else 1 / 3))
    rows = slice(None) if keep_rows else slice(None, None, stride)
    return values[::stride, ::stride, rows].astype(np.float32)


def _check_values(values: np.ndarray, name: str) -> list[str]:
    """The part of ``check_plausible`` that needs no geometry."""
    smooth = _smoothness(values)
    if smooth < LEAST_SMOOTH:
        raise InputError(
            f"{name}: expected a CT, got noise: neighbouring voxels have a correlation of {smooth:.2f}, not "
            f"{LIKELY_SMOOTH:g} to 1; check the export"
        )
    if not _is_hu(values):
        raise InputError(f"{name}: expected a CT in HU (air near -1000, soft tissue near 0), got {_describe(values)}")
    if smooth < LIKELY_SMOOTH:
        return [f"the CT is very noisy (correlation of neighbouring voxels {smooth:.2f}, expected 0.85 to 1)"]
    return []


def _smoothness(values: np.ndarray) -> float:
    """Correlation of neighbours along X over (Z, Y, X), without what metal and padding add; 1 where nothing varies."""
    low, high = np.percentile(values, (0.5, 99.5))
    clipped = values.clip(low, high)
    before, after = clipped[..., :-1].ravel(), clipped[..., 1:].ravel()
    if not before.std() or not after.std():
        return 1.0
    return float(np.corrcoef(before, after)[0, 1])


def _is_hu(values: np.ndarray) -> bool:
    """Whether air, tissue and bone have values as in HU, as far as they are there."""
    inside = _without_padding(values)
    body = inside[inside > NO_AIR_HU]
    if not body.size or _share(body, *TISSUE_HU) < LEAST_TISSUE:
        return False
    if values.min() > -200 and _share(body[body > -60], -15, 15) > MOST_UNIFORM:
        return False
    # air at +1000: real bone gets rarer with density
    dense, air = _share(values, 900, 1100), _share(values, -1100, -900)
    piled = dense > max(0.01, 2 * _share(inside, 500, 900) * inside.size / values.size)
    return not (piled and air < dense)


def _without_padding(values: np.ndarray) -> np.ndarray:
    """Voxels (N,) that are not within 2 % of the range from the lowest or, where many are alike, the highest value."""
    low, high = float(values.min()), float(values.max())
    margin = 0.02 * (high - low)
    inside = values[values > low + margin]
    return inside if inside.size else values.ravel()


def _share(values: np.ndarray, start: float, stop: float) -> float:
    """Share of values from ``start`` to ``stop``; 0 without values."""
    return float(np.count_nonzero((values >= start) & (values <= stop))) / max(values.size, 1)


def _describe(values: np.ndarray) -> str:
    """What values are, and what can be done."""
    low, middle, high = (float(found) for found in np.percentile(values, (0.1, 50, 99.9)))
    found = f"values of {low:.0f} to {high:.0f} with a median of {middle:.0f}"
    likeliest = max(FAULTS, key=lambda fault: _likelihood(fault.mend(values)))
    if _likelihood(likeliest.mend(values)) < LEAST_LIKELIHOOD:
        if high <= BODY_HU:
            return f"{found}, which is air alone; give the CT of a patient"
        return f"{found}; export the CT with its rescale slope and intercept"
    return f"{found}, as in {likeliest.name}; {likeliest.advice}"


def _likelihood(values: np.ndarray) -> float:
    """How much values look like HU, in any order of magnitude; 0 if they cannot be."""
    if not _is_hu(values):
        return 0.0
    body = _without_padding(values)
    body = body[body > NO_AIR_HU]
    low, high = np.percentile(body, (25, 75))
    has_contrast = TISSUE_SPREAD_HU[0] <= high - low <= TISSUE_SPREAD_HU[1]
    has_air = NEAR_AIR_HU[0] <= float(np.percentile(values, 1)) <= NEAR_AIR_HU[1]
    return _share(body, *TISSUE_HU) * (0.1 + has_contrast) * (0.5 + has_air)


def _check_extent(values: np.ndarray, image: sitk.Image, name: str) -> list[str]:
    """The part of ``check_plausible`` that measures the body."""
    extents_mm = _body_extents_mm(values, image)
    width_mm, height_mm = max(extents_mm[:2]), extents_mm[2]
    spacing = " x ".join(f"{mm:.4g}" for mm in image.GetSpacing())
    is_default = all(abs(mm - 1) < 1e-6 for mm in image.GetSpacing())
    least_mm, likely_mm = LOST_EXTENT_MM if is_default else (LEAST_EXTENT_MM, LIKELY_EXTENT_MM[0])
    if width_mm < least_mm or width_mm > MOST_EXTENT_MM or height_mm > MOST_HEIGHT_MM:
        raise InputError(
            f"{name}: expected a body of {LIKELY_EXTENT_MM[0]:.0f} to {LIKELY_EXTENT_MM[1]:.0f} mm across, got one of "
            f"{width_mm:.3g} mm, {height_mm:.3g} mm high, at a spacing of {spacing} mm (x, y, z)"
            f"{_cause(width_mm, is_default=is_default)}"
        )
    if not likely_mm <= width_mm <= LIKELY_EXTENT_MM[1]:
        return [f"the body is {width_mm:.0f} mm across at a spacing of {spacing} mm: check the header's spacing"]
    if height_mm < LIKELY_HEIGHT_MM:
        return [f"the body is {height_mm:.0f} mm high at a spacing of {spacing} mm: check the header's spacing"]
    if is_default and min(image.GetSize()[:2]) >= LOST_SIZE:
        return ["the spacing is 1 mm in all directions, as where it was lost: check the header"]
    return []


def _cause(width_mm: float, *, is_default: bool) -> str:
    """What most likely is wrong with the spacing, and what to do."""
    if is_default:
        return ", as where the spacing was lost; put the true spacing into the header"
    low, high = LIKELY_EXTENT_MM
    for unit, mm in UNITS:
        if low <= width_mm * mm <= high:
            return f", as in {unit}; multiply the spacing by {mm:g}"
    return "; correct the spacing in the header, in mm"


def _body_extents_mm(values: np.ndarray, image: sitk.Image) -> Sequence[float]:
    """Extent of what is denser than air along the patient's axes (x, y, z); 0 where the sample has nothing of it."""
    sample = _strided(values, keep_rows=False)
    stride = math.ceil(max(1.0, values.size / SAMPLE_VOXELS) ** (1 / 3))
    found = np.nonzero(sample > BODY_HU)
    if not len(found[0]):
        return [0.0, 0.0, 0.0]
    by_image_axis = []
    for hits, mm in zip(found[::-1], image.GetSpacing(), strict=True):  # x, y, z of the image
        by_image_axis.append((int(hits.max() - hits.min()) + 1) * stride * mm)
    direction = np.abs(np.reshape(image.GetDirection(), (3, 3)))
    return [by_image_axis[int(row.argmax())] for row in direction]
