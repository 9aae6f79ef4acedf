"""The manifest of a trained cascade: all that prediction must know beside the model folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from soars_nnunet.artifacts import (
    CONFIGURATION,
    TARGET_FACTS,
    Cascade,
    name_hashes,
    patient_of,
    provenance,
    read_json,
    write_json,
)
from soars_nnunet.stratify import branch_labels


def write_manifest(cascade: Cascade, plans_name: str, detected_by: str | None = None) -> Path:
    """Record for prediction which model folder each planned branch has; copies no case name or path.

    The manifest lies in the results folder, so that folder can be moved as a whole.

    Args:
        cascade: The stratified dataset.
        plans_name: Plans of the variant.
        detected_by: Plans whose out-of-fold detections say how large the VOIs are; None for the variant's own.
    """
    branches = {}
    pattern = read_json(Cascade.path(cascade.source)).get("patient_pattern")
    for branch in cascade.branches:
        plans = cascade.plans_of(branch.key, plans_name)
        if cascade.plans(branch.key, plans).is_file():
            configuration = read_json(cascade.plans(branch.key, plans))["configurations"][CONFIGURATION]
            branches[branch.key] = {
                "model": str(Path("..", "..", *cascade.model(branch.key, plans).parts[-2:])),
                "guidance": configuration["soars"]["guidance"],
                "classes": [name for name, _ in branch_labels(cascade, branch.key)],
                "training_patients": [
                    name_hashes({patient_of(case, pattern) or case for case in split["train"]})
                    for split in cascade.splits()
                ],
            }
    targets: dict[str, Any] = {}
    if "detection" in cascade.datasets:
        facts = cascade.channels("detection", cascade.plans_of("detection", detected_by or plans_name)) / TARGET_FACTS
        targets = read_json(facts) if facts.is_file() else {}
    path = cascade.manifest(plans_name)
    manifest = {"source": cascade.source, "plans": plans_name, "profile": cascade.profile.to_dict()}
    manifest["patient_pattern"] = pattern
    write_json(path, {**manifest, "branches": branches, "targets": targets, "provenance": provenance()})
    return path
