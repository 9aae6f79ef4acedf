"""Options that later runs of ``soars-plan`` for the same plans take up again unless they are given anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.networks.genotype import KINDS, KNOWN_BRANCHES, NUM_BLOCKS, load_genotypes
from soars_nnunet.networks.plans_checks import SPACING_MM
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.schemas.fault import FaultError
from soars_nnunet.schemas.node import Node, checked

GIVE_ANEW = "delete it and give the options anew"
"""What to do about a file of another form."""


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
        genotype_folds: By branch of these whose file says so, the fold of the search that found it.
        from_bundle: Name or absolute path of the bundle that trainings start from.
    """

    regime: str | None = None
    spacing_mm: Sequence[float] | None = None
    small_hard_spacing_mm: Sequence[float] | None = None
    guidance: str | None = None
    overrides: Sequence[str] | None = None
    genotypes: dict[str, list[str]] | None = None
    genotype_folds: dict[str, int | str] | None = None
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
    known_folds = choices.get("genotype_folds") or {}
    for name, value in asdict(given).items():
        if value is not None:
            choices[name] = tuple(value) if isinstance(value, list) else value
    if given.genotypes is not None:
        choices["genotypes"] = {**known_genotypes, **given.genotypes}
        others = {branch: fold for branch, fold in known_folds.items() if branch not in given.genotypes}
        choices["genotype_folds"] = {**others, **(given.genotype_folds or {})} or None
    return PlanOptions(plans_name=plans_name, num_processes=num_processes, **choices)


def read_remembered(path: Path) -> dict[str, Any]:
    """Remembered options, lists as tuples; empty if there is no file.

    Raises:
        InputError: If it holds options that this version does not know.
    """
    choices = read_json(path) if path.is_file() else {}
    if not isinstance(choices, dict):
        raise InputError(f"{path}: expected an object of options, got other JSON; {GIVE_ANEW}")
    unknown = sorted(set(choices) - set(REMEMBERED))
    if unknown:
        raise InputError(
            f"{path}: expected options of this version, got {', '.join(unknown)}; delete it and give them anew"
        )
    try:
        checked(choices, str(path), check_options, advice=GIVE_ANEW)
    except FaultError as fault:
        raise InputError(str(fault)) from fault
    for name, value in choices.items():
        if isinstance(value, list):
            choices[name] = tuple(value)
    return choices


def check_options(node: Node) -> None:
    """Check remembered options; their values are checked where they are used, as if they had been typed.

    Raises:
        FaultError: If one is of another form than on the command line.
    """
    fields = node.entries()
    for name in ("regime", "guidance"):
        if name in fields:
            fields[name].text("[a-z][a-z0-9_-]{0,60}")
    if "overrides" in fields:
        fields["overrides"].texts()
    given = {name: field for name, field in fields.items() if field.value is not None}
    for name in ("spacing_mm", "small_hard_spacing_mm"):
        if name in given:
            given[name].numbers(3, *SPACING_MM)
    if "from_bundle" in given:
        given["from_bundle"].text()
    for fold in given["genotype_folds"].entries().values() if "genotype_folds" in given else ():
        if fold.value != "all" and type(fold.value) is not int:
            fold.refuse("the fold of a search, or all")
    for branch, kinds in given["genotypes"].entries().items() if "genotypes" in given else ():
        if branch not in KNOWN_BRANCHES:
            kinds.refuse(f"a branch of {', '.join(KNOWN_BRANCHES)}", branch)
        for kind in kinds.items(NUM_BLOCKS, NUM_BLOCKS):
            kind.one_of(KINDS)


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
