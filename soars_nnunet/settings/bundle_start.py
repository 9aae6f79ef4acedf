"""What a branch's plans say of the bundle whose weights its trainings start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FirstWeights:
    """Weights that one fold starts from.

    Attributes:
        file: Name of the safetensors file, beside the plans.
        sha256: Of the file.
        fold: Of the bundle, whose weights they are.
    """

    file: str
    sha256: str
    fold: int


@dataclass(frozen=True)
class BundleStart:
    """The bundle that a branch starts from.

    Attributes:
        bundle: Its name.
        sha256: Of its ``manifest.json``, which holds the hashes of all of its files.
        branch: Key of the bundle's branch.
        kept: Classes whose output the bundle's network knows.
        added: Classes that are new to it.
        patients: Name of the JSON beside the plans that has, by fold, hashes of the patients that the weights were
            trained on.
        folds: First weights by fold.
    """

    bundle: str
    sha256: str
    branch: str
    kept: tuple[str, ...]
    added: tuple[str, ...]
    patients: str
    folds: tuple[FirstWeights, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BundleStart:
        """Of its entry in the plans."""
        folds = [FirstWeights(entry["file"], entry["sha256"], entry["fold"]) for entry in data["folds"]]
        return cls(
            bundle=data["bundle"],
            sha256=data["sha256"],
            branch=data["branch"],
            kept=tuple(data["kept"]),
            added=tuple(data["added"]),
            patients=data["patients"],
            folds=tuple(folds),
        )
