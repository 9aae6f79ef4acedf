"""A path to the trained cascade that it names: what a training left, or a bundle."""

from __future__ import annotations

from pathlib import Path

from soars_nnunet.bundles.open import is_bundle, open_bundle
from soars_nnunet.cascade.record import MANIFEST
from soars_nnunet.cascade.stored_model import StoredCascade
from soars_nnunet.networks.model_folder import TrainedCascade


def open_cascade(path: Path) -> StoredCascade:
    """Open a trained cascade.

    Args:
        path: Manifest of a training or the folder that holds it; folder, manifest or zip of a bundle.

    Raises:
        MissingArtifactError: If it is a bundle, and damaged. A training's manifest is read when it is asked for.
    """
    if is_bundle(path):
        return open_bundle(path)
    return TrainedCascade(path / MANIFEST if path.is_dir() else path)
