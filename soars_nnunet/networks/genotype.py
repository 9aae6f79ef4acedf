"""Genotypes: the kind of convolution of each of P-HNN's four blocks, as data.

Imports neither torch nor nnU-Net. Kernels are (Z, Y, X).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

KINDS = ("2D3", "2D5", "3D3", "3D5", "P3D3", "P3D5")
"""The six candidates of the paper's search (sec. 3.2): family and in-plane kernel width."""

NUM_BLOCKS = 4
"""Blocks of P-HNN (paper sec. 3), hence the length of a genotype."""


def kernels(kind: str) -> tuple[tuple[int, int, int], ...]:
    """Kernels (Z, Y, X) of one convolution of a kind, in the order in which they are applied.

    A pseudo-3D convolution is an in-plane one followed by one along Z; every other kind is
    a single convolution. ``kernels("2D3") == ((1, 3, 3),)``,
    ``kernels("P3D5") == ((1, 5, 5), (5, 1, 1))``.

    Raises:
        ValueError: If the kind is not one of ``KINDS``.
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind out of {', '.join(KINDS)}, got {kind!r}")
    family, width = kind[:-1], int(kind[-1])
    if family == "2D":
        return ((1, width, width),)
    if family == "3D":
        return ((width, width, width),)
    return ((1, width, width), (width, 1, 1))


def validate_genotype(genotype: Sequence[str]) -> None:
    """Check that a genotype names one kind for each of the four blocks.

    Raises:
        ValueError: If it is no list of four kinds out of ``KINDS``.
    """
    is_list = isinstance(genotype, (list, tuple))
    if not is_list or len(genotype) != NUM_BLOCKS or any(kind not in KINDS for kind in genotype):
        raise ValueError(
            f"expected {NUM_BLOCKS} kinds out of {', '.join(KINDS)}, got {genotype!r}; "
            "see plans/genotypes.json for examples"
        )


def published_genotype(tier: str) -> list[str]:
    """Genotype of a tier or of the detection network, from ``plans/genotypes.json``.

    Args:
        tier: ``anchor``, ``mid_level``, ``small_hard`` (the paper's) or ``detection`` (ours,
            the paper gives none; the file's ``source`` strings say which is which).

    Returns:
        The kinds of blocks 1 to 4, a new list.

    Raises:
        ValueError: If the file has no such entry.
    """
    table = json.loads((resources.files("soars_nnunet.plans") / "genotypes.json").read_text(encoding="utf-8"))
    if tier not in table:
        raise ValueError(f"expected a genotype for one of {', '.join(table)}, got {tier!r}")
    genotype = table[tier]["kinds"]
    validate_genotype(genotype)
    return genotype


NEAR_TIE = 0.02
"""Lead of gamma below which a block's two best kinds count as tied: about an eighth of the uniform share 1/6 (ours)."""


def genotype_entry(gammas: Sequence[Sequence[float]], facts: dict[str, Any]) -> dict[str, Any]:
    """Entry of a genotype file: the best kind of each block, its gammas and its margin over the second.

    Args:
        gammas: (4, 6), one row a block in the order of ``KINDS``.
        facts: Seed, epochs and the like, copied behind.

    Raises:
        ValueError: If a gamma is not finite: the search diverged.
    """
    if not all(math.isfinite(gamma) for row in gammas for gamma in row):
        raise ValueError("the search diverged: gamma is not finite; lower search_initial_lr or search_alpha_lr")
    rows = [[round(float(gamma), 6) for gamma in row] for row in gammas]
    best = [sorted(range(len(KINDS)), key=lambda k, row=row: -row[k]) for row in gammas]
    return {
        "kinds": [KINDS[order[0]] for order in best],
        "margins": [round(row[order[0]] - row[order[1]], 6) for row, order in zip(rows, best, strict=True)],
        "gammas": [dict(zip(KINDS, row, strict=True)) for row in rows],
        **facts,
    }


def near_ties(entry: dict[str, Any]) -> list[int]:
    """Blocks, counted from 1, whose best kind leads by less than ``NEAR_TIE``; none where no margins are known."""
    return [block for block, margin in enumerate(entry.get("margins", ()), start=1) if margin < NEAR_TIE]


def describe_genotype(branch: str, entry: dict[str, Any]) -> str:
    """One line: the kinds, and how many blocks are near-ties if the entry has margins."""
    text = f"{branch}: genotype {' '.join(entry['kinds'])}"
    if "margins" not in entry:
        return text
    ties = near_ties(entry)
    where = f" (block {', '.join(map(str, ties))})" if ties else ""
    return f"{text}; near-ties, best ahead by less than {NEAR_TIE}: {len(ties)} of {NUM_BLOCKS} blocks{where}"


def load_genotypes(path: Path) -> dict[str, dict[str, Any]]:
    """Entries of a genotype file by branch; the form of ``plans/genotypes.json`` and of a search's result.

    Raises:
        ValueError: If the file is absent, not JSON, or holds anything but genotypes of known branches.
    """
    known = ("anchor", "mid_level", "detection", "small_hard", "baseline")
    expected = (
        f'expected JSON such as {{"anchor": {{"kinds": ["2D3", "3D5", "2D3", "3D5"]}}}}, branches {", ".join(known)}'
    )
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"genotype file {path}: {expected}; got {error}") from error
    entries = table.values() if isinstance(table, dict) else ()
    if not entries or not set(table) <= set(known) or not all(isinstance(e, dict) and "kinds" in e for e in entries):
        raise ValueError(f"genotype file {path}: {expected}; got something else")
    for entry in entries:
        validate_genotype(entry["kinds"])
        margins = entry.get("margins", [])
        if not isinstance(margins, list) or not all(isinstance(margin, (int, float)) for margin in margins):
            raise ValueError(f"genotype file {path}: expected margins as a list of numbers, got {margins!r}")
    return table
