"""Types and ranges of a profile's JSON; what its organs say of each other is the profile's own to check."""

from __future__ import annotations

from collections.abc import Collection

from soars_nnunet.schemas.names import name_problem
from soars_nnunet.schemas.node import Node
from soars_nnunet.schemas.printable import with_reason

MAX_ORGANS = 255
"""Labels are written as uint8."""

MAX_ORGAN_NAME = 64

MAX_PRECEDENCE = 1000

NEEDED = ("name", "label", "paper_name", "tier")
"""Of an organ."""

OF_NNUNET = ("background", "ignore")
"""Names of labels that mean something else to nnU-Net."""

BETWEEN = "__"
"""What stands between patient and target in the name of a crop."""


def check_profile(node: Node, organ_keys: Collection[str]) -> None:
    """Check a profile's JSON.

    Args:
        node: The profile.
        organ_keys: Keys that an organ may have.

    Raises:
        FaultError: If a value has another type, is out of range, or is a name that no file can have.
    """
    fields = node.fields(("name", "organs"), ("description", "source", "tolerance_sources", "halves"))
    with node.part():
        _check_name(fields["name"], 100)
    for key in ("description", "source"):
        if key in fields:
            with node.part():
                fields[key].text()
    if "tolerance_sources" in fields:
        with node.part():
            for source in fields["tolerance_sources"].entries(100).values():
                source.text()
    if "halves" in fields:
        with node.part():
            for halves in fields["halves"].entries(MAX_ORGANS).values():
                for half in halves.items(2, 2):
                    _check_name(half, MAX_ORGAN_NAME)
    for organ in fields["organs"].items(1, MAX_ORGANS):
        with node.part():
            _check_organ(organ, organ_keys)


def _check_organ(node: Node, known: Collection[str]) -> None:
    fields = node.entries()
    unknown = sorted(set(fields) - set(known))
    if unknown:
        node.refuse(f"an organ with the keys {', '.join(known)}", f"also {', '.join(unknown)}")
    node.fields(NEEDED, known)
    _check_name(fields["name"], MAX_ORGAN_NAME)
    fields["label"].whole(1, MAX_ORGANS)
    fields["paper_name"].text(most=100)
    fields["tier"].text(most=100)
    for key in ("mirror", "target"):
        if key in fields and fields[key].value is not None:
            _check_name(fields[key], MAX_ORGAN_NAME)
    if "target" in fields and fields["target"].value is not None:
        _check_target(fields["target"])
    if "precedence" in fields:
        fields["precedence"].number(-MAX_PRECEDENCE, MAX_PRECEDENCE)
    for key in ("composite", "aliases"):
        if key in fields:
            for text in fields[key].items(most=100):
                text.text(most=100)
    if fields.get("tolerance_mm") is not None and fields["tolerance_mm"].value is not None:
        fields["tolerance_mm"].number(0, 100)
    if fields.get("tolerance_source") is not None and fields["tolerance_source"].value is not None:
        fields["tolerance_source"].text(most=100)


def _check_name(node: Node, most: int) -> None:
    """A name that can be part of a file's name, and that nnU-Net has no use of its own for."""
    problem = name_problem(node.text(most=most))
    if problem:
        node.refuse("a name that a file can have", with_reason(node.value, problem))
    if node.value.lower() in OF_NNUNET:
        node.refuse("an organ's name", with_reason(node.value, "nnU-Net uses itself"))


def _check_target(node: Node) -> None:
    """Crops are called PATIENT__TARGET, and are taken apart at the last two underscores."""
    if BETWEEN in node.value or node.value.startswith("_"):
        node.refuse(f"a target's name without {BETWEEN} and without _ in front")
