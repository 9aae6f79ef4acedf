"""Choose the colours of organs (``plans/colors.json``): as far apart by CIEDE2000 as they get, none dark or grey.

Example::

    python -m scripts.choose_colors            # prints the distances of the table that ships
    python -m scripts.choose_colors --write    # chooses anew: half a minute
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from soars_nnunet.images.organ_colors import color_table
from soars_nnunet.profile import load_profile

TABLE = Path(__file__).parents[1] / "plans" / "colors.json"

LEVELS = 12
"""Of red, green and blue each, from which colours are chosen."""

LIGHTNESS = (38, 95)
"""Of CIELAB: seen on black and on white."""

MIN_CHROMA = 22
"""Of CIELAB: told from the grey of a CT."""

NAMED, ALL = 42, 64
"""Colours of profile hn42, and of the whole table."""

STARTS, EXCHANGES = 120, 60
"""Random first colours that are tried, and how often one of the two nearest of a choice is exchanged."""


def distances(rgb: np.ndarray) -> np.ndarray:
    """(N, N) distances by CIEDE2000 of colours (N, 3), 0 to 255."""
    lab = rgb2lab(np.asarray(rgb)[None] / 255.0)[0]
    rows = [deltaE_ciede2000(np.broadcast_to(color, lab.shape), lab) for color in lab]
    return np.array(rows)


def candidates() -> np.ndarray:
    """(N, 3) colours, 0 to 255, that may be chosen."""
    levels = np.round(np.linspace(0, 255, LEVELS)).astype(int)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    lab = rgb2lab(grid[None] / 255.0)[0]
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    return grid[(light >= LIGHTNESS[0]) & (light <= LIGHTNESS[1]) & (chroma >= MIN_CHROMA)]


def nearest(between: np.ndarray, chosen: list[int]) -> tuple[float, int, int]:
    """Smallest distance among the chosen, and the places of the two."""
    among = between[np.ix_(chosen, chosen)].copy()
    np.fill_diagonal(among, np.inf)
    one, other = np.unravel_index(int(among.argmin()), among.shape)
    return float(among.min()), int(one), int(other)


def spread(between: np.ndarray, chosen: list[int], number: int) -> list[int]:
    """So many colours: to those that are chosen always the one farthest from all of them."""
    chosen = list(chosen)
    to_chosen = between[chosen].min(axis=0)
    while len(chosen) < number:
        chosen.append(int(to_chosen.argmax()))
        to_chosen = np.minimum(to_chosen, between[chosen[-1]])
    return chosen


def improve(between: np.ndarray, chosen: list[int]) -> list[int]:
    """Exchange one of the two nearest for a colour farther from the others, as long as that helps."""
    for _ in range(EXCHANGES):
        smallest, one, other = nearest(between, chosen)
        for place in (one, other):
            rest = chosen[:place] + chosen[place + 1 :]
            to_rest = between[rest].min(axis=0)
            if to_rest.max() > smallest + 1e-4:
                chosen = [*chosen[:place], int(to_rest.argmax()), *chosen[place + 1 :]]
                break
        else:
            return chosen
    return chosen


def choose() -> list[str]:
    """The table's colours as ``#rrggbb``: those of hn42, then the others."""
    colors = candidates()
    between = distances(colors)
    random = np.random.default_rng(0)
    tried = []
    for _ in range(STARTS):
        tried.append(improve(between, spread(between, [int(random.integers(len(colors)))], NAMED)))
    best = max(tried, key=lambda chosen: nearest(between, chosen)[0])
    chosen = spread(between, best, ALL)
    return ["#" + bytes(color.tolist()).hex() for color in colors[chosen].astype(int)]


def write(codes: list[str]) -> None:
    """Write the table."""
    names = [organ.name for organ in sorted(load_profile("hn42").organs, key=lambda organ: organ.label)]
    about = (
        "Colours of organs in reports, viewers and label files: of the 42 of profile hn42 by name, and of other names "
        "in turn. Chosen by python -m scripts.choose_colors."
    )
    table = {"about": about, "by_name": dict(zip(names, codes, strict=False)), "of_other_names": codes[NAMED:]}
    TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Parse; choose or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="choose anew")
    if parser.parse_args().write:
        write(choose())
        color_table.cache_clear()
    named = list(color_table().by_name.values())
    every = [*named, *color_table().of_other_names]
    print(f"{len(named)} colours of hn42: at least {nearest(distances(named), list(range(len(named))))[0]:.1f} apart")
    print(f"all {len(every)}: at least {nearest(distances(every), list(range(len(every))))[0]:.1f} apart")
    print(f"from black at least {distances([*every, (0, 0, 0)])[-1][:-1].min():.1f}")


if __name__ == "__main__":
    main()
