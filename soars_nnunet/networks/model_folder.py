"""What trainings leave: nnU-Net's folder of a branch, and the cascade whose manifest names such folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from soars_nnunet.cascade.classes import without_ignore_label
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.manifest_checks import BRANCH_KEYS, BranchFacts, check_postprocessing
from soars_nnunet.cascade.record import CHECKPOINT, POSTPROCESSING
from soars_nnunet.cascade.storage import file_hash, read_json
from soars_nnunet.cascade.stored_model import StoredCascade, StoredModel
from soars_nnunet.cascade.trained import trained_folds
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.networks.plans_checks import check_training
from soars_nnunet.schemas.node import checked


class ModelFolder(StoredModel):
    """nnU-Net's folder of a trained branch.

    Args:
        folder: With ``plans.json``, ``dataset.json`` and ``fold_*``.
        recorded: By fold, SHA-256 of the checkpoint that its training wrote, as far as that is known.
        facts: What the cascade's manifest says of the branch; None where there is no manifest.
    """

    def __init__(
        self, folder: Path, recorded: Mapping[int, str] | None = None, facts: BranchFacts | None = None
    ) -> None:
        self.folder, self._facts = folder, facts
        self.recorded = recorded or {}
        self._hashes: dict[tuple[int, ...], str] = {}

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def where(self) -> str:
        """Path of the folder."""
        return str(self.folder)

    @property
    def plans(self) -> dict[str, Any]:
        """Plans that the folds were trained with."""
        return self._described[0]

    @property
    def dataset_json(self) -> dict[str, Any]:
        """Channels and labels."""
        return self._described[1]

    @cached_property
    def _described(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both JSON files, checked against each other and the manifest."""
        plans, dataset = read_json(self.folder / "plans.json"), read_json(self.folder / "dataset.json")
        if isinstance(dataset, dict) and "labels" in dataset:
            dataset = {**dataset, "labels": without_ignore_label(dataset["labels"])}
        check_training(plans, dataset, self.folder, self._facts)
        return plans, dataset

    @property
    def folds(self) -> list[int]:
        """Folds with a final checkpoint."""
        return trained_folds(self.folder)

    def fingerprint(self, folds: Sequence[int]) -> list[str]:
        """Hashes of the folds' checkpoints."""
        return [self._hash(fold) for fold in folds]

    def _hash(self, fold: int) -> str:
        """Of a fold's checkpoint; read again where the file is another one by now."""
        path = self._checkpoint(fold)
        stat = path.stat()
        key = (fold, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if key not in self._hashes:
            self._hashes[key] = file_hash(path)
        return self._hashes[key]

    def weights(self, fold: int) -> dict[str, torch.Tensor]:
        """Weights out of a fold's checkpoint; no code in it is run.

        Raises:
            MissingArtifactError: If the file is damaged, is not the one that the training of this fold wrote, or is of
                a network with other labels than ``dataset.json`` has.
        """
        path = self._checkpoint(fold)
        checkpoint = load_checkpoint(path)
        self._require_recorded(fold)
        made = checkpoint.get("init_args")
        if isinstance(made, dict):
            self._require_own(made, fold)
        return checkpoint["network_weights"]

    def _require_recorded(self, fold: int) -> None:
        expected = self.recorded.get(fold)
        if expected is None:
            return
        path = self._checkpoint(fold)
        found = self._hash(fold)
        if found != expected:
            raise MissingArtifactError(
                f"{path}: expected the weights that its training wrote (SHA-256 {expected[:16]}...), got others "
                f"({found[:16]}...); copy it again or retrain the fold; if you put it there on purpose, delete its "
                "line under 'weights' in the cascade's manifest.json"
            )

    def _require_own(self, made: dict[str, Any], fold: int) -> None:
        """Check whose weights a checkpoint holds by what nnU-Net wrote beside them."""
        path = self._checkpoint(fold)
        if made.get("fold", fold) not in (fold, str(fold)):
            raise MissingArtifactError(
                f"{path}: expected the weights of fold {fold}, got those of fold {made['fold']}; copy the fold's own "
                "checkpoint again or retrain the fold"
            )
        described = made.get("dataset_json")
        labels = without_ignore_label(described.get("labels")) if isinstance(described, dict) else None
        if labels is not None and labels != self.dataset_json.get("labels"):
            raise MissingArtifactError(
                f"{path}: expected a network with the labels of {self.folder / 'dataset.json'}, got another network's "
                "weights; restore the one or the other, or retrain the fold"
            )

    @property
    def without_folds(self) -> str:
        """What is said where no fold is trained."""
        return f"expected fold_*/{CHECKPOINT}, found no trained fold; train it or choose another model"

    def _checkpoint(self, fold: int) -> Path:
        return self.folder / f"fold_{fold}" / CHECKPOINT


class TrainedCascade(StoredCascade):
    """A trained cascade in nnU-Net's results folder.

    Args:
        path: Of its manifest, which names the model folders relative to itself; read when something is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def manifest(self) -> Manifest:
        """As it lies there.

        Raises:
            MissingArtifactError: If there is none, or the file is another.
        """
        return Manifest.load(self.path)

    def branch(self, key: str) -> ModelFolder:
        """Model folder of a branch."""
        described = self.manifest.branches[key]
        folder = self.path.parent / described.model
        return ModelFolder(folder.resolve(), described.weights, self.manifest.facts(key))

    def postprocessing(self) -> dict[str, Any] | None:
        """The decision that lies beside the manifest.

        Raises:
            MissingArtifactError: If the file holds none, or one about other organs.
        """
        path = self.path.with_name(POSTPROCESSING)
        if not path.is_file():
            return None
        data, organs = read_json(path), set(self.manifest.profile.by_name)
        advice = "rerun soars-cross-validate, or delete the file to keep the labels as the networks give them"
        checked(data, str(path), lambda node: check_postprocessing(node, organs, BRANCH_KEYS), advice=advice)
        return data
