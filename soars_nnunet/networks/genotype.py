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

from soars_nnunet.cascade.storage import read_user_json

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


KNOWN_BRANCHES = ("anchor", "mid_level", "detection", "small_hard", "baseline")
"""Branches that a genotype file may have entries of."""

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
    kinds, margins, rounded = [], [], []
    for row in gammas:
        if not all(map(math.isfinite, row)):
            raise ValueError("the search diverged: gamma is not finite; lower search_initial_lr or search_alpha_lr")
        best, second = _best_two(row)
        by_kind = {kind: round(float(gamma), 6) for kind, gamma in zip(KINDS, row, strict=True)}
        kinds.append(best)
        margins.append(round(by_kind[best] - by_kind[second], 6))
        rounded.append(by_kind)
    return {"kinds": kinds, "margins": margins, "gammas": rounded, **facts}


def _best_two(gammas: Sequence[float]) -> tuple[str, str]:
    """Kinds with the largest and the second largest gamma; of equal ones the first."""
    by_gamma = sorted(zip(gammas, KINDS, strict=True), key=lambda pair: -pair[0])
    return by_gamma[0][1], by_gamma[1][1]


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
        InputError: If the file is absent, not JSON, or holds anything but genotypes of known branches.
        ValueError: If a genotype is none.
    """
    expected = 'expected JSON such as {"anchor": {"kinds": ["2D3", "3D5", "2D3", "3D5"]}}, branches ' + ", ".join(
        KNOWN_BRANCHES
    )
    table = read_user_json(path, "genotype file")
    if not _holds_genotypes(table):
        raise ValueError(f"genotype file {path}: {expected}; got something else")
    for entry in table.values():
        validate_genotype(entry["kinds"])
        margins = entry.get("margins", [])
        if not isinstance(margins, list) or not all(isinstance(margin, (int, float)) for margin in margins):
            raise ValueError(f"genotype file {path}: expected margins as a list of numbers, got {margins!r}")
    return table


def _holds_genotypes(table: Any) -> bool:
    """Whether parsed JSON has entries with ``kinds`` for known branches, and nothing else."""
    if not isinstance(table, dict) or not table:
        return False
    for branch, entry in table.items():
        if branch not in KNOWN_BRANCHES or not isinstance(entry, dict) or "kinds" not in entry:
            return False
    return True
