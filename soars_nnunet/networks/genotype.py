"""Genotypes: the kind of convolution of each of P-HNN's four blocks, as data.

Imports neither torch nor nnU-Net. Kernels are (Z, Y, X).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

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
    text = (resources.files("soars_nnunet.plans") / "genotypes.json").read_text(encoding="utf-8")
    table = json.loads(text)
    if tier not in table:
        raise ValueError(f"expected a genotype for one of {', '.join(table)}, got {tier!r}")
    genotype = table[tier]["kinds"]
    validate_genotype(genotype)
    return genotype
