"""Options that later runs of ``soars-plan`` for the same plans take up again unless they are given anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.networks.genotype import load_genotypes
from soars_nnunet.planning.options import PlanOptions


@dataclass(frozen=True)
class GivenOptions:
    """What a run was given; None for what it was not, which then is as it was before.

    Attributes:
        regime: Name in ``plans/regimes.json``.
        spacing_mm: (Z, Y, X) of Anchor, MidLevel and Detection.
        small_hard_spacing_mm: (Z, Y, X) of SmallHard.
        guidance: As in ``PlanOptions``.
        overrides: ``KEY=VALUE`` regime values.
        genotypes: By branch; they join those that are remembered for other branches.
        from_bundle: Name or absolute path of the bundle that trainings start from.
    """

    regime: str | None = None
    spacing_mm: Sequence[float] | None = None
    small_hard_spacing_mm: Sequence[float] | None = None
    guidance: str | None = None
    overrides: Sequence[str] | None = None
    genotypes: dict[str, list[str]] | None = None
    from_bundle: str | None = None


REMEMBERED = tuple(field.name for field in fields(GivenOptions))
"""Keys of the file."""


def options_to_plan(cascade: Cascade, plans_name: str, given: GivenOptions, num_processes: int) -> PlanOptions:
    """What a run was given, completed by what runs before it were given for the same plans.

    Args:
        cascade: The stratified dataset.
        plans_name: Of the variant.
        given: By the user.
        num_processes: Preprocessing workers; not remembered.

    Raises:
        InputError: If the file of remembered options is another version's.
    """
    choices = read_remembered(cascade.options(plans_name))
    known_genotypes = choices.get("genotypes") or {}
    for name, value in asdict(given).items():
        if value is not None:
            choices[name] = tuple(value) if isinstance(value, list) else value
    if given.genotypes is not None:
        choices["genotypes"] = {**known_genotypes, **given.genotypes}
    return PlanOptions(plans_name=plans_name, num_processes=num_processes, **choices)


def read_remembered(path: Path) -> dict[str, Any]:
    """Remembered options, lists as tuples; empty if there is no file.

    Raises:
        InputError: If it holds options that this version does not know.
    """
    choices = read_json(path) if path.is_file() else {}
    unknown = sorted(set(choices) - set(REMEMBERED))
    if unknown:
        raise InputError(
            f"{path}: expected options of this version, got {', '.join(unknown)}; delete it and give them anew"
        )
    for name, value in choices.items():
        if isinstance(value, list):
            choices[name] = tuple(value)
    return choices


def remember(cascade: Cascade, options: PlanOptions) -> None:
    """Write what later runs for the same plans take up again."""
    write_json(cascade.options(options.plans_name), {name: getattr(options, name) for name in REMEMBERED})


def blamed_on_remembered(error: ValueError, cascade: Cascade, plans_name: str, given: GivenOptions) -> ValueError:
    """The error to show: where a value of ``--set`` is wrong that this run was not given, it says whose it is."""
    if given.overrides is not None or not str(error).startswith("--set"):
        return error
    path = cascade.options(plans_name)
    return InputError(f"{path} has the values of an earlier --set: {error}; give --set anew")


def merged_genotypes(paths: Sequence[Path], cascade: Cascade) -> dict[str, dict[str, Any]]:
    """Entries of several genotype files, by branch.

    Args:
        paths: Results of searches, or other files of that form.
        cascade: Whose branches they are for.

    Raises:
        InputError: If two files name one branch, or one names a branch that the cascade lacks.
        ValueError: If a file is not one of genotypes.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        for branch, entry in load_genotypes(path).items():
            if branch in found or branch not in cascade.datasets:
                reason = "named twice" if branch in found else f"no branch of {cascade.source}"
                raise InputError(f"--genotype {path}: expected one genotype a branch; {branch} is {reason}")
            found[branch] = entry
    return found
