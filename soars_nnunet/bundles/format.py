"""What a bundle's ``manifest.json`` holds, as data.

A bundle is a folder, or its zip, of plain files: ``manifest.json``, one ``.safetensors`` a branch and fold, ``card.md``
and ``card.json``. The manifest lists every other file with its size and SHA-256. Importing this loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from soars_nnunet.cascade.manifest import Manifest

FORMAT = "soars-bundle"

FORMAT_VERSION = 1
"""The version that is written, and the only one that is read."""

CARD, CARD_DATA = "card.md", "card.json"

PRECISIONS = {"fp16": "F16", "fp32": "F32"}
"""Of the convolutions' kernels on disk, and what safetensors calls them; networks run in float32 either way."""


@dataclass(frozen=True)
class FileEntry:
    """A file of a bundle: its SHA-256, and its size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class About:
    """What the line that says which model is used is made of.

    Attributes:
        trained_on: Data and number of patients, as "203 patients of OpenKBP".
        license: Of the weights, as "CC-BY-4.0".
        citation: What users of the weights or of their results are to cite; may be empty.
    """

    trained_on: str
    license: str
    citation: str = ""


@dataclass(frozen=True)
class BundleBranch:
    """A branch of a bundle.

    Attributes:
        plans: nnU-Net's plans, cleaned (``content.clean_plans``).
        dataset: nnU-Net's ``dataset.json``, cleaned (``content.clean_dataset``).
        folds: File of the weights by fold, ascending; at least one.
    """

    plans: dict[str, Any]
    dataset: dict[str, Any]
    folds: dict[int, str]

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        folds = {str(fold): name for fold, name in self.folds.items()}
        return {"plans": self.plans, "dataset": self.dataset, "folds": folds}


@dataclass(frozen=True)
class BundleManifest:
    """All that ``manifest.json`` says.

    Attributes:
        name: Of the bundle, by which it is installed and found: ``[a-z0-9][a-z0-9_.-]*``.
        created: When it was made, UTC, ISO 8601.
        precision: A key of ``PRECISIONS``.
        about: For the user.
        cascade: What prediction must know; the branches' model folders are empty.
        branches: By key, the same as those of ``cascade``.
        postprocessing: Organs of which only the largest part is kept (``largest_part``), and why; None where nothing
            was decided for these weights.
        files: Every file but the manifest, by name.
    """

    name: str
    created: str
    precision: str
    about: About
    cascade: Manifest
    branches: dict[str, BundleBranch]
    postprocessing: Mapping[str, Any] | None
    files: dict[str, FileEntry]

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "created": self.created,
            "precision": self.precision,
            "about": asdict(self.about),
            "cascade": _cascade_json(self.cascade),
            "branches": {key: branch.to_json() for key, branch in self.branches.items()},
            "postprocessing": self.postprocessing,
            "files": {name: asdict(entry) for name, entry in self.files.items()},
        }


def _cascade_json(cascade: Manifest) -> dict[str, Any]:
    """The cascade's manifest without model folders: files of a bundle are named by its own manifest."""
    data = cascade.to_json()
    for branch in data["branches"].values():
        del branch["model"]
    return data
