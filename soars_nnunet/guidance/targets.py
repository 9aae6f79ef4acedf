"""Labels of small & hard organs, without what is not annotated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.network_frame import to_network_frame


def undrawn_organs(cascade: Cascade) -> dict[str, list[str]]:
    """By case, the small & hard organs that nobody drew; only cases that have any."""
    listed: dict[str, list[str]] = read_json(Cascade.path(cascade.source)).get("unannotated", {})
    ours = {name for _, names in branch_labels(cascade, "detection") for name in names}
    found = {case: [name for name in undrawn if name in ours] for case, undrawn in listed.items()}
    return {case: names for case, names in found.items() if names}


def open_targets(cascade: Cascade, undrawn: Sequence[str]) -> list[int]:
    """Rows of the targets that lack some organ's contour: their centre and extent are unknown."""
    members = [names for _, names in branch_labels(cascade, "detection")]
    return [row for row, names in enumerate(members) if not set(names).isdisjoint(undrawn)]


def drawn_labels(label: Path, cascade: Cascade, undrawn: Sequence[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """Labels (Z, Y, X) in the network's frame and their properties; no voxels of organs that are left open."""
    labels, properties = to_network_frame(read_label_map(label))
    labels = labels[0].astype(np.int32)
    labels[np.isin(labels, [cascade.labels[name] for name in undrawn])] = 0
    return labels, properties
