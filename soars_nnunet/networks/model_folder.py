"""What trainings leave: nnU-Net's folder of a branch, and the cascade whose manifest names such folders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import CHECKPOINT, POSTPROCESSING
from soars_nnunet.cascade.storage import file_hash, read_json
from soars_nnunet.cascade.stored_model import StoredCascade, StoredModel
from soars_nnunet.cascade.trained import trained_folds
from soars_nnunet.networks.checkpoint import load_checkpoint


class ModelFolder(StoredModel):
    """nnU-Net's folder of a trained branch.

    Args:
        folder: With ``plans.json``, ``dataset.json`` and ``fold_*``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def where(self) -> str:
        """Path of the folder."""
        return str(self.folder)

    @cached_property
    def plans(self) -> dict[str, Any]:
        """Plans that the folds were trained with."""
        return read_json(self.folder / "plans.json")

    @cached_property
    def dataset_json(self) -> dict[str, Any]:
        """Channels and labels."""
        return read_json(self.folder / "dataset.json")

    @property
    def folds(self) -> list[int]:
        """Folds with a final checkpoint."""
        return trained_folds(self.folder)

    def fingerprint(self, folds: Sequence[int]) -> list[str]:
        """Hashes of the folds' checkpoints."""
        return [file_hash(self._checkpoint(fold)) for fold in folds]

    def weights(self, fold: int) -> dict[str, torch.Tensor]:
        """Weights out of a fold's checkpoint; no code in it is run."""
        return load_checkpoint(self._checkpoint(fold))["network_weights"]

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
        folder = self.path.parent / self.manifest.branches[key].model
        return ModelFolder(folder.resolve())

    def postprocessing(self) -> dict[str, Any] | None:
        """The decision that lies beside the manifest."""
        path = self.path.with_name(POSTPROCESSING)
        return read_json(path) if path.is_file() else None
