"""What a prediction's report must hold to be shown: types and ranges of all that a page reads of it.

Reports of earlier versions lack parts, so all but the organs may be absent or null; further keys are passed over.
"""

from __future__ import annotations

from soars_nnunet.schemas.node import Node

MAX_LABEL = 255
"""Labels are written as uint8."""

LARGEST = 1e6
"""Beyond any volume in ml, distance in mm or time in s."""

MAX_NAME = 300

LISTS_OF_TEXTS = ("warnings", "largest_part")


def check_report(node: Node) -> None:
    """Check the report of ``soars-cascade-predict``.

    Raises:
        FaultError: If a part is of another form, or two organs have one label.
    """
    fields = node.fields(("organs",))
    for organ in fields["organs"].entries().values():
        with node.part():
            _check_organ(organ)
    with node.part():
        _check_labels(fields["organs"])
    for key in ("case", "profile"):
        with node.part():
            _check_text(fields.get(key))
    for key in LISTS_OF_TEXTS:
        with node.part():
            if key in fields and (key == "warnings" or fields[key].value is not None):
                fields[key].texts()
    for key in PARTS:
        with node.part():
            if key in fields and fields[key].value is not None:
                _check_part(fields[key], key)


def _check_organ(node: Node) -> None:
    fields = node.fields(("label", "volume_ml", "status"))
    fields["label"].whole(1, MAX_LABEL)
    fields["volume_ml"].number(0, LARGEST)
    fields["status"].text(most=MAX_NAME)
    _check_text(fields.get("tier"))
    if fields.get("confidence") is not None and fields["confidence"].value is not None:
        fields["confidence"].number(0, LARGEST)


def _check_labels(node: Node) -> None:
    labels: dict[int, str] = {}
    for name, row in node.value.items():
        label = row.get("label") if isinstance(row, dict) else None
        if isinstance(label, int) and labels.setdefault(label, name) != name:
            node.refuse("organs with a label of their own", f"{labels[label]} and {name}, both with {label}")


def _check_text(node: Node | None) -> None:
    """A text; null, or none at all, where the report does not say."""
    if node is not None and node.value is not None:
        node.text(most=MAX_NAME)


def _check_part(node: Node, key: str) -> None:
    """One of the objects beside the organs."""
    check = PARTS[key]
    for name, entry in node.entries().items():
        with node.part():
            check(entry, name)


def _check_model(node: Node, name: str) -> None:
    fields = node.fields(("name", "folds"))
    fields["name"].text(most=MAX_NAME)
    for fold in fields["folds"].items():
        fold.whole(0, 10**6)


def _check_target(node: Node, name: str) -> None:
    for value in node.entries(50).values():
        _check_plain(value, name)


def _check_seconds(node: Node, name: str) -> None:
    node.number(0, LARGEST)


def _check_hash(node: Node, name: str) -> None:
    """Those of the CT and of the labels are read, others are passed over."""
    if name in ("input", "output") and node.value is not None:
        node.text("[0-9a-f]{64}")


def _check_plain(node: Node, name: str) -> None:
    """A number, text, truth or null, or a list of a few of them."""
    values = node.items(most=100) if isinstance(node.value, list) else [node]
    for item in values:
        if item.value is None or isinstance(item.value, bool):
            continue
        if isinstance(item.value, int | float):
            item.number(-LARGEST, LARGEST)
        else:
            item.text()


PARTS = {
    "targets": _check_target,
    "models": _check_model,
    "bundle": _check_plain,
    "provenance": _check_plain,
    "seconds": _check_seconds,
    "sha256": _check_hash,
}
"""Check of an entry, by the object that it is in."""
