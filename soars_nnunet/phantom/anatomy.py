"""The anatomy that phantoms are drawn from: tissues, organs and details as data of ``plans/phantom.json``.

Axes: all triples are (Z, Y, X), mm in the canonical head frame.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from soars_nnunet.phantom.shapes import Shape
from soars_nnunet.profile import Profile

SECTIONS = ("tissues", "structures", "details")
"""Sections of the table in drawing order; ``structures`` are the organs."""

MIRROR = -1
"""Side of a shape that is mirrored to the right; 1 is as the table has it."""


@dataclass(frozen=True)
class Layer:
    """One coat of paint.

    Attributes:
        grow_mm: How far it reaches beyond the part's surface; negative inside.
        hu: Its value.
        texture_hu: Amplitude of the smooth pattern added to it.
    """

    grow_mm: float
    hu: float
    texture_hu: float = 0.0


@dataclass(frozen=True)
class Part:
    """A tissue or an organ: the union of its shapes.

    Attributes:
        name: TG-263 name of an organ, another word for a tissue.
        shapes: What it is made of.
        layers: Painted one after the other.
        clip: (P, 4) float32, planes that cut it: normal (Z, Y, X) and offset in mm; what lies beyond one is left out.
        blend_mm: Fillet between its shapes.
        organ: Whether it has a label and a jitter of its own.
    """

    name: str
    shapes: tuple[Shape, ...]
    layers: tuple[Layer, ...]
    clip: np.ndarray
    blend_mm: float
    organ: bool

    def volume_mm3(self) -> float:
        """Nominal volume: overlaps and clipping are ignored."""
        return sum(shape.volume() for shape in self.shapes)


@cache
def phantom_table() -> dict[str, Any]:
    """``plans/phantom.json`` as parsed JSON; not to be changed."""
    return json.loads((resources.files("soars_nnunet.plans") / "phantom.json").read_text(encoding="utf-8"))


@cache
def anatomy() -> tuple[Part, ...]:
    """All parts in drawing order, those of both sides included."""
    table = phantom_table()
    parts = []
    for section in SECTIONS:
        for row in table[section]:
            for name, side in _names_and_sides(row):
                parts.append(_part(row, name, side, organ=section == "structures"))
    return tuple(parts)


def paint_order(profile: Profile) -> list[tuple[str, int]]:
    """Names of parts and the labels that they get, later ones over earlier ones.

    The higher ``precedence`` is painted later, and the smaller part among equals. ``Bone_Mandible`` is both of its
    halves.

    Raises:
        ValueError: If the anatomy lacks an organ of the profile.
    """
    volumes_mm3 = {part.name: part.volume_mm3() for part in anatomy() if part.organ}
    order = []
    for organ in profile.organs:
        names = [name for name in (organ.name, f"{organ.name}_L", f"{organ.name}_R") if name in volumes_mm3]
        if not names:
            raise ValueError(f"profile: expected organs among {', '.join(sorted(volumes_mm3))}, got {organ.name}")
        for name in names:
            order.append((organ.precedence, -volumes_mm3[name], name, organ.label))
    return [(name, label) for _, _, name, label in sorted(order)]


def _names_and_sides(row: dict[str, Any]) -> list[tuple[str, int]]:
    name = row["name"]
    if name.endswith("_L"):
        return [(name, 1), (f"{name[:-2]}_R", MIRROR)]
    if row.get("mirror"):
        return [(name, 1), (name, MIRROR)]
    return [(name, 1)]


def _part(row: dict[str, Any], name: str, side: int, organ: bool) -> Part:
    shapes = []
    for shape in row["shapes"]:
        shapes.append(Shape.from_dict(shape, side))
    layers = []
    for numbers in row["layers"]:
        grow_mm, hu = numbers[:2]
        texture_hu = numbers[2] if len(numbers) > 2 else 0.0
        layers.append(Layer(grow_mm, hu, texture_hu))
    clip = np.array(row.get("clip", ()), np.float32).reshape(-1, 4)
    return Part(
        name=name,
        shapes=tuple(shapes),
        layers=tuple(layers),
        clip=clip * np.array((1, 1, side, 1), np.float32),
        blend_mm=row.get("blend", 0.0),
        organ=organ,
    )
