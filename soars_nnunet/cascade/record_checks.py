"""The JSON files by which steps hand on a stratified dataset: the cascade's record and its splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.case_names import source_case
from soars_nnunet.cascade.manifest_checks import check_anatomy
from soars_nnunet.profile import Profile, ProfileError
from soars_nnunet.schemas.names import name_problem
from soars_nnunet.schemas.node import Node
from soars_nnunet.schemas.patterns import check_quick_pattern
from soars_nnunet.schemas.printable import with_reason

MAX_CASES = 1_000_000

MAX_FOLDS = 10_000

MAX_LABEL = 2**31 - 1
"""Of a source dataset."""

DATASET_NAME = r"Dataset\d{3}_[^/\\\0]{1,200}"

OPTIONAL_TABLES = ("empty", "unannotated", "partly_annotated")
"""Organs by case; records of older versions lack them."""


def check_record(node: Node) -> None:
    """Check ``soars_cascade.json``.

    Raises:
        FaultError: If a part is of another form, or contradicts the profile.
    """
    fields = node.fields(("profile", "datasets", "labels"))
    try:
        profile = Profile.from_dict(fields["profile"].value)
    except ProfileError as error:
        fields["profile"].refuse("a profile without contradictions", str(error))
    for key, name in fields["datasets"].entries().items():
        with node.part():
            if key not in BRANCHES:
                name.refuse(f"a branch of {', '.join(BRANCHES)}", key)
            name.text(DATASET_NAME)
    with node.part():
        _check_labels(fields["labels"], profile)
    if "num_folds" in fields:
        with node.part():
            fields["num_folds"].whole(1, MAX_FOLDS)
    if "split_sha256" in fields:
        with node.part():
            fields["split_sha256"].text("[0-9a-f]{0,64}")
    if "patient_pattern" in fields:
        with node.part():
            check_quick_pattern(fields["patient_pattern"])
    if "cases" in fields:
        with node.part():
            check_cases(fields["cases"])
    if "anatomy" in fields:
        check_anatomy(fields["anatomy"], profile)
    if "derived" in fields:
        with node.part():
            for derivation in fields["derived"].items():
                _check_derivation(derivation)
    _check_left_open(fields)
    for key in OPTIONAL_TABLES:
        with node.part():
            for organs in fields[key].entries(MAX_CASES).values() if key in fields else ():
                organs.texts()


def _check_derivation(node: Node) -> None:
    """Halves of a whole, or the whole of halves: names and numbers of both forms."""
    fields = node.fields(("organs", "labels", "names", "values"))
    for names, numbers in (("organs", "labels"), ("names", "values")):
        for name in fields[names].items(1, 2):
            name.text()
        for number in fields[numbers].items(len(fields[names].value), len(fields[names].value)):
            number.whole(1, MAX_LABEL)
    if len(fields["organs"].value) + len(fields["names"].value) != 3:
        fields["organs"].refuse("one whole and two halves")


def _check_left_open(fields: Mapping[str, Node]) -> None:
    """The label of voxels that nobody judged, and what the user left out."""
    if "ignore" in fields and fields["ignore"].value is not None:
        with fields["ignore"].part():
            fields["ignore"].whole(1, MAX_LABEL)
    if "left_out" in fields:
        with fields["left_out"].part():
            for reason in fields["left_out"].entries(MAX_CASES).values():
                reason.text()


def _check_labels(node: Node, profile: Profile) -> None:
    """Each organ of the profile once, with a number of its own."""
    values: dict[int, str] = {}
    for name, label in node.entries().items():
        if name not in profile.by_name:
            label.refuse("an organ of the profile", name)
        value = label.whole(1, MAX_LABEL)
        if values.setdefault(value, name) != name:
            label.refuse("a number of its own", f"{value}, as {values[value]} has")


def check_cases(node: Node) -> None:
    """Check a list of case names.

    Raises:
        FaultError: If a name cannot be a file's, or is there twice.
    """
    names = set()
    for case in node.items(most=MAX_CASES):
        problem = name_problem(case.value)
        if problem:
            case.refuse("a case name", with_reason(case.value, problem))
        if case.value in names:
            case.refuse("every case once", f"{case.value} again")
        names.add(case.value)


def check_splits(node: Node, known: Collection[str]) -> None:
    """Check nnU-Net's splits.

    Args:
        node: ``[{"train": [case, ...], "val": [case, ...]}, ...]``, one entry a fold.
        known: Cases of the dataset, of which others are crops; empty if they are not known.

    Raises:
        FaultError: If there is no fold, a side is empty, a case is on both sides of a fold or twice on one, or is none
            of the dataset.
    """
    for fold in node.items(1, MAX_FOLDS):
        with node.part():
            sides = fold.fields(("train", "val"))
            for side in ("train", "val"):
                sides[side].items(1, MAX_CASES)
                check_cases(sides[side])
            both = set(sides["train"].value) & set(sides["val"].value)
            if both:
                fold.refuse("training and validation cases apart", f"on both sides: {_few(both)}")
            unknown = _unknown([*sides["train"].value, *sides["val"].value], known)
            if unknown:
                fold.refuse("cases of the dataset", _few(unknown))


def _unknown(cases: Collection[Any], known: Collection[str]) -> set[str]:
    """Cases that are neither known nor crops of known ones."""
    if not known:
        return set()
    return {case for case in cases if case not in known and source_case(case) not in known}


def _few(names: Collection[str]) -> str:
    shown = sorted(names)[:5]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
