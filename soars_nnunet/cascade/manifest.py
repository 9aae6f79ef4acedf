"""The manifest of a trained cascade: all that prediction must know beside the model folders, and where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from soars_nnunet.cascade.case_names import name_hashes, patient_of
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import results_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, MANIFEST, TARGET_FACTS, Cascade
from soars_nnunet.cascade.storage import provenance, read_json, write_json
from soars_nnunet.errors import MissingArtifactError


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
            configuration = PlansFile.read(cascade.plans(branch.key, plans)).configuration
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


def locate_manifest(dataset: str | None, models: Path | None, plans: str) -> Path:
    """Manifest named by a dataset or a model folder, or the only trained one.

    Raises:
        MissingArtifactError: If there is none.
    """
    if models is not None:
        path = models / MANIFEST if models.is_dir() else models
        if not path.is_file():
            raise MissingArtifactError(f"-m {models}: expected a cascade's folder with {MANIFEST}, found none")
        return path
    if dataset is None:
        return find_manifest(results_folder())
    path = Cascade.load(dataset).manifest(plans)
    if not path.is_file():
        raise MissingArtifactError(
            f"dataset {dataset}: expected {path}; run soars-plan -d {dataset} and train the cascade"
        )
    return path


def find_manifest(results: Path) -> Path:
    """The one trained cascade under nnU-Net's results folder.

    Raises:
        MissingArtifactError: If there is none, or more than one.
    """
    found = trained_manifests(results)
    if len(found) != 1:
        listed = ", ".join(str(path.parent.relative_to(results)) for path in found) or "none"
        raise MissingArtifactError(
            f"expected exactly one trained cascade in {results}, found {listed}; choose with -d ID or -m FOLDER"
        )
    return found[0]


def trained_manifests(results: Path) -> list[Path]:
    """Manifests under nnU-Net's results folder whose branches all have a trained fold, sorted; may be empty."""
    return sorted(path for path in results.glob(f"Dataset*/SOARS__*/{MANIFEST}") if _is_trained(path))


def _is_trained(manifest: Path) -> bool:
    folders = [manifest.parent / branch["model"] for branch in read_json(manifest)["branches"].values()]
    return bool(folders) and all(any(folder.glob(f"fold_*/{CHECKPOINT}")) for folder in folders)
