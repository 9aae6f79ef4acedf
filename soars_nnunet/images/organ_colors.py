"""One colour an organ, the same in reports, viewers and label files; the table is ``plans/colors.json``.

By CIEDE2000, where 1 is just visible, the 42 colours of profile hn42 lie at least 14 apart and 30 from black; all 64
lie at least 10 apart. ``scripts/choose_colors.py`` chose them. No torch here.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

Rgb = tuple[int, int, int]
"""Red, green, blue; 0 to 255."""

GOLDEN_ANGLE = 0.618034
"""Turn of the hue from one colour to the next where the table is used up."""


@dataclass(frozen=True)
class ColorTable:
    """``plans/colors.json``.

    Attributes:
        by_name: Of organs of profile hn42.
        of_other_names: For others.
    """

    by_name: Mapping[str, Rgb]
    of_other_names: tuple[Rgb, ...]


def organ_colors(labels: Mapping[str, int]) -> dict[str, Rgb]:
    """A colour for each organ; an organ that the table names has the same one in every profile.

    Args:
        labels: Value by name; the background (0) has no colour.

    Returns:
        Colour by name. Other organs take the colour at the place of their value, or the next that is free, so that
        most keep theirs where only some organs are asked for.
    """
    table = color_table()
    colors = {}
    taken: set[int] = set()
    for name, value in sorted(labels.items(), key=lambda entry: entry[1]):
        if value == 0:
            continue
        if name in table.by_name:
            colors[name] = table.by_name[name]
            continue
        place = _free_place(value - 1, taken, len(table.of_other_names))
        taken.add(place)
        colors[name] = _color_at(place, table)
    return colors


def _free_place(wish: int, taken: set[int], number: int) -> int:
    """The place of the table that is wished for, modulo their number, or the next free one; beyond it where none is."""
    for step in range(number):
        place = (wish + step) % number
        if place not in taken:
            return place
    return number + len(taken)


def _color_at(place: int, table: ColorTable) -> Rgb:
    if place < len(table.of_other_names):
        return table.of_other_names[place]
    red, green, blue = colorsys.hsv_to_rgb(place * GOLDEN_ANGLE % 1, 0.7, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=1)
def color_table() -> ColorTable:
    """The table that the package ships."""
    data = json.loads((resources.files("soars_nnunet.plans") / "colors.json").read_text(encoding="utf-8"))
    by_name = {name: _rgb(code) for name, code in data["by_name"].items()}
    return ColorTable(by_name, tuple(_rgb(code) for code in data["of_other_names"]))


def _rgb(code: str) -> Rgb:
    """Of ``#rrggbb``."""
    red, green, blue = bytes.fromhex(code.removeprefix("#"))
    return red, green, blue
