"""What of a prediction does not look like a head and neck: sentences for the user, and flags of organs.

Nothing is changed by it: labels stay what the networks gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.order import AXES, OrderFinding, check_order
from soars_nnunet.anatomy.volumes import volume_range
from soars_nnunet.prediction.report import OrganRow

MANY_MISSING = 0.5
"""Share of the anchors that the scan can hold; if so many were not found, the user is told. Ours."""

MAX_NAMED = 8
"""Organs that a sentence names; the others are counted."""

LOOK = "look at the labels before using them"


def with_volume_flags(rows: Mapping[str, OrganRow], anatomy: AnatomyFacts) -> dict[str, OrganRow]:
    """Rows with the range of training's volumes and a flag for those far outside, where training is known.

    Args:
        rows: By organ.
        anatomy: Learnt from the training cases; empty where that is not known.
    """
    flagged = {}
    for name, row in rows.items():
        known = volume_range(anatomy.organs.get(name))
        if known is not None:
            flag = None
            if row.volume_ml > 0:
                flag = known.flag(row.volume_ml, is_cut=row.status == "cut_by_field_of_view")
            row = replace(row, training_ml=[known.low_ml, known.high_ml], volume_flag=flag)
        flagged[name] = row
    return flagged


def review(rows: Mapping[str, OrganRow], measures: Mapping[str, OrganMeasure], learnt: AnatomyFacts) -> list[str]:
    """What the user should know of the organs of a case.

    Args:
        rows: By organ, with volume flags.
        measures: Where the organs lie that have voxels.
        learnt: Where organs lie to each other in the training cases; empty where that is not known.

    Returns:
        Sentences; empty where everything looks like a head and neck.
    """
    warnings = [*_missing(rows), *_order(check_order(measures, learnt))]
    flagged = []
    for name, row in rows.items():
        if row.volume_flag and row.training_ml:
            low, high = row.training_ml
            flagged.append(f"{name} {row.volume_ml:.3g} ml (training {low:.3g} to {high:.3g})")
    if flagged:
        warnings.append(f"volume(s) far outside training's: {_listed(flagged)}; {LOOK}")
    return warnings


def _missing(rows: Mapping[str, OrganRow]) -> list[str]:
    if rows and all(row.volume_ml == 0 for row in rows.values()):
        return [
            f"none of {len(rows)} organ(s) was found: the scan may show no head and neck, or the patient may lie "
            "otherwise than the header says"
        ]
    expected = [name for name, row in rows.items() if row.tier == "anchor" and row.status != "absent"]
    missing = [name for name in expected if rows[name].status == "not_found"]
    if len(missing) > MANY_MISSING * len(expected):
        return [
            f"{len(missing)} of {len(expected)} anchor organs were not found ({_listed(missing)}): the scan may show "
            f"no head and neck, or the patient may lie otherwise than the header says; {LOOK}"
        ]
    return []


def _order(findings: Sequence[OrderFinding]) -> list[str]:
    warnings = []
    turned = [finding.axis for finding in findings if finding.is_turned]
    for finding in findings:
        cause = "organs may be mixed up"
        if finding.is_turned:
            cause = f"the patient may lie {finding.axis.turned} against the header"
        if len(turned) == len(AXES):
            cause = "the patient may lie turned round against the header"
        warnings.append(f"organs lie against anatomy: {finding}; {cause}; {LOOK}")
    return warnings


def _listed(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:MAX_NAMED])
    return f"{shown} and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else shown
