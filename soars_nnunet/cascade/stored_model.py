"""A trained cascade where it is stored, as prediction opens it: a training's folders and a bundle look the same.

``networks.model_folder`` has what a training leaves, ``bundles.bundle`` what a bundle holds. Importing this loads no
torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soars_nnunet.errors import MissingArtifactError

if TYPE_CHECKING:
    import torch

    from soars_nnunet.cascade.manifest import Manifest


@dataclass(frozen=True)
class BundleFacts:
    """Which bundle a prediction was made by.

    Attributes:
        name: Of the bundle.
        format_version: Of its manifest.
        sha256: Hash of its ``manifest.json``, which holds the hashes of all other files.
    """

    name: str
    format_version: int
    sha256: str


class StoredModel(ABC):
    """One trained branch: its plans, and one set of weights a fold."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As reports name it: the model folder's name, or the bundle's."""

    @property
    @abstractmethod
    def where(self) -> str:
        """As messages name it: a path, or a bundle and a branch."""

    @property
    @abstractmethod
    def plans(self) -> dict[str, Any]:
        """nnU-Net's plans, as ``PlansFile`` takes them; not to be changed.

        Raises:
            MissingArtifactError: If they are missing or no plans.
        """

    @property
    @abstractmethod
    def dataset_json(self) -> dict[str, Any]:
        """nnU-Net's ``dataset.json``; not to be changed.

        Raises:
            MissingArtifactError: If it is missing.
        """

    @property
    @abstractmethod
    def folds(self) -> list[int]:
        """Folds whose weights there are, ascending; empty if there are none."""

    @abstractmethod
    def fingerprint(self, folds: Sequence[int]) -> list[str]:
        """SHA-256 of the files of the folds' weights, in the order of ``folds``."""

    @abstractmethod
    def weights(self, fold: int) -> dict[str, torch.Tensor]:
        """Weights of one of ``folds`` on the CPU, float32, by the network's own names; the caller's to change.

        Raises:
            MissingArtifactError: If the file is damaged or something else.
        """

    def choose_folds(self, folds: Sequence[int] | None) -> list[int]:
        """Folds to use.

        Args:
            folds: Which are asked for; None for all that there are.

        Raises:
            MissingArtifactError: If there is no such fold, or none at all.
        """
        available = self.folds
        if not available:
            raise MissingArtifactError(f"{self.where}: {self.without_folds}")
        chosen = available if folds is None else list(folds)
        missing = sorted(set(chosen) - set(available))
        if missing or not chosen:
            raise MissingArtifactError(f"{self.name}: fold(s) {missing or chosen} are not trained, only {available}")
        return chosen

    @property
    def without_folds(self) -> str:
        """What is said where there is no fold at all."""
        return "expected weights of at least one fold, found none; choose another model"


class StoredCascade(ABC):
    """A trained cascade: its manifest, its branches, and the post-processing decided for it."""

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """What prediction must know beside the networks."""

    @abstractmethod
    def branch(self, key: str) -> StoredModel:
        """A branch of ``manifest.branches``.

        Raises:
            KeyError: If it is none of them.
        """

    @abstractmethod
    def postprocessing(self) -> Mapping[str, Any] | None:
        """The decision of ``soars-cross-validate``, None without one.

        ``largest_part`` names organs; ``models`` has by branch the fingerprints that it holds for.
        """

    @property
    def bundle(self) -> BundleFacts | None:
        """Which bundle it is; None for what a training left."""
        return None
