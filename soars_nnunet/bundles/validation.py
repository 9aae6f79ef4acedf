"""``manifest.json`` of a bundle from JSON to data; anything odd is refused with the place where it stands."""

from __future__ import annotations

from typing import Any

from soars_nnunet.bundles.format import About, BundleBranch, BundleManifest, FileEntry
from soars_nnunet.cascade.manifest import Manifest


def bundle_manifest(data: Any, where: str) -> BundleManifest:
    """A bundle's manifest out of parsed JSON."""
    for branch in data["cascade"]["branches"].values():
        branch["model"] = ""
    branches = {}
    for key, branch in data["branches"].items():
        folds = {int(fold): name for fold, name in branch["folds"].items()}
        branches[key] = BundleBranch(branch["plans"], branch["dataset"], folds)
    return BundleManifest(
        name=data["name"],
        created=data["created"],
        precision=data["precision"],
        about=About(**data["about"]),
        cascade=Manifest.from_dict(data["cascade"]),
        branches=branches,
        postprocessing=data["postprocessing"],
        files={name: FileEntry(**entry) for name, entry in data["files"].items()},
    )
