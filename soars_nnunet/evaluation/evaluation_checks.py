"""What an ``evaluation.json`` must hold to be read: names, statuses, scores within their ranges, each score once.

Files of earlier versions lack some metrics, targets and names; keys that this version does not know are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS
from soars_nnunet.evaluation.organ_scores import ABSENT, FALSE_POSITIVE, MISSED, NOT_IN_REFERENCE, SCORED
from soars_nnunet.profile import TIERS
from soars_nnunet.schemas.names import name_problem
from soars_nnunet.schemas.node import Node
from soars_nnunet.schemas.printable import with_reason

MAX_ROWS = 5_000_000
"""Of a file: a hundred organs of 50,000 cases."""

MAX_NAME = 300
"""Signs of the name of a case, organ or target."""

LARGEST = 1e6
"""Beyond any distance in mm, volume in ml or relative error of a volume."""

STATUSES = (SCORED, MISSED, NOT_IN_REFERENCE, FALSE_POSITIVE, ABSENT)

RANGES = {"dsc": (0.0, 1.0), "surface_dsc": (0.0, 1.0), "volume_error": (-1.0, LARGEST)}
"""Of metrics that are no distances; these are 0 or more."""

ROUNDING = 1e-6
"""By which a share may lie beyond 0 or 1."""

LISTS = (
    "unknown_in_prediction",
    "unknown_in_reference",
    "not_predictable",
    "predictions_without_reference",
    "references_without_prediction",
)
"""Lists of names beside the scores."""


def check_document(node: Node) -> None:
    """Check an ``evaluation.json``.

    Raises:
        FaultError: If a name, status or score is missing, of another type, out of range, or there twice.
    """
    fields = node.fields(("scores",))
    for row in fields["scores"].items(most=MAX_ROWS):
        with node.part():
            _check_score(row)
    for row in fields["targets"].items(most=MAX_ROWS) if "targets" in fields else ():
        with node.part():
            _check_target(row)
    with node.part():
        _check_once(fields["scores"], "organ")
        if "targets" in fields:
            _check_once(fields["targets"], "target")
    _check_rest(node, fields)


def _check_score(node: Node) -> None:
    fields = node.fields(("case", "organ", "tier", "status"))
    _check_name(fields["case"])
    _check_name(fields["organ"])
    fields["tier"].one_of(TIERS)
    fields["status"].one_of(STATUSES)
    for metric in METRICS:
        _check_number(fields.get(metric), *RANGES.get(metric, (0.0, LARGEST)))
    for volume in ("reference_ml", "predicted_ml"):
        _check_number(fields.get(volume), 0.0, LARGEST)


def _check_target(node: Node) -> None:
    fields = node.fields(("case", "target", "status"))
    _check_name(fields["case"])
    _check_name(fields["target"])
    fields["status"].one_of(STATUSES)
    for metric in TARGET_METRICS:
        _check_number(fields.get(metric), 0.0, LARGEST)


def _check_name(node: Node) -> None:
    """A name for tables: shown in one line."""
    text = node.text(most=MAX_NAME)
    if not text.isprintable():
        node.refuse("a name that can be shown", with_reason(text, name_problem(text) or "cannot be shown"))


def _check_number(node: Node | None, low: float, high: float) -> None:
    """A number in a range; null, or none at all, where there is no score."""
    if node is not None and node.value is not None:
        node.number(low - ROUNDING, high + ROUNDING)


def _check_once(node: Node, kind: str) -> None:
    """No case has an organ or target twice."""
    pairs = []
    for row in node.value:
        if isinstance(row, dict) and isinstance(row.get("case"), str) and isinstance(row.get(kind), str):
            pairs.append((row["case"], row[kind]))
    twice = repeated(pairs)
    if twice:
        case, name = twice[0]
        node.refuse(f"every {kind} of a case once", f"{len(twice)} twice, such as {name} of {case}")


def repeated(pairs: Iterable[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Pairs that are there again, in their order; empty if every one is there once."""
    seen = set()
    again = []
    for pair in pairs:
        if pair in seen:
            again.append(pair)
        seen.add(pair)
    return again


def _check_rest(node: Node, fields: dict[str, Node]) -> None:
    """Names and facts beside the scores."""
    for key in ("profile", "prediction", "reference"):
        if key in fields and fields[key].value is not None:
            with node.part():
                fields[key].text(most=5000)
    for key in LISTS:
        if key in fields:
            with node.part():
                for name in fields[key].items(most=MAX_ROWS):
                    name.text(most=MAX_NAME)
    with node.part():
        for text in fields["warnings"].items(most=MAX_ROWS) if "warnings" in fields else ():
            text.text(most=5000)
        for hashed in fields["sha256"].entries(MAX_ROWS).values() if "sha256" in fields else ():
            if isinstance(hashed.value, str):
                hashed.text(most=300)
    with node.part():
        if "paper_names" in fields:
            for name in fields["paper_names"].entries().values():
                name.text(most=MAX_NAME)
        if "empty_means_absent" in fields:
            fields["empty_means_absent"].truth()
        if "provenance" in fields and fields["provenance"].value is not None:
            version = fields["provenance"].entries().get("version")
            if version is not None:
                version.text(most=100)
