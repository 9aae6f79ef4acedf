"""Which trained cascade a command takes: the one that is named, the only one that is trained, or the one that ships."""

from __future__ import annotations

import os
from pathlib import Path

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.describe import describe
from soars_nnunet.bundles.open import is_bundle, open_bundle
from soars_nnunet.bundles.places import SHIPPED, known_bundles
from soars_nnunet.cascade.manifest import all_manifests, locate_manifest, trained_manifests
from soars_nnunet.cascade.stored_model import StoredCascade
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.progress import Progress, silent


def choose_cascade(
    dataset: str | None,
    models: Path | None,
    model: str | None,
    plans: str,
    *,
    progress: Progress = silent,
) -> StoredCascade:
    """The cascade that a user means; at most one of the first three is given.

    Args:
        dataset: Source dataset of a training, or None.
        models: Folder or manifest of a training, or a bundle's folder or zip; or None.
        model: Name or path of a bundle, or None.
        plans: Name of the plans, with a dataset.
        progress: Receives a line where a bundle is taken: organs, data, licence; before it, one that says why, where
            the one that ships is taken although nnU-Net has a folder of results.

    Returns:
        Without a name the only trained cascade, or where none is trained the bundle that ships.

    Raises:
        MissingArtifactError: If there is no such cascade, or it is damaged; without a name if several are trained, or
            none is and none ships.
    """
    if model is not None:
        return _told(open_bundle(model), progress)
    if models is not None and is_bundle(models):
        return _told(open_bundle(models), progress)
    if dataset is None and models is None and _nothing_trained() and SHIPPED in known_bundles():
        _tell_why(progress)
        return _told(open_bundle(SHIPPED), progress)
    try:
        return TrainedCascade(locate_manifest(dataset, models, plans))
    except MissingArtifactError as error:
        if dataset is None and models is None and _nothing_trained():
            raise MissingArtifactError(f"{error}; the bundle {SHIPPED} is not in this installation") from error
        raise


def _nothing_trained() -> bool:
    """Whether no cascade is trained, or nobody said where trained ones would be."""
    results = os.environ.get("nnUNet_results")
    return not results or not trained_manifests(Path(results))


def _tell_why(progress: Progress) -> None:
    """Say that results were looked for, and which cascades are not trained in all branches."""
    results = os.environ.get("nnUNet_results")
    if not results:
        return
    started = [str(path.parent.relative_to(results)) for path in all_manifests(Path(results))]
    found = f"none of {', '.join(started)} is trained in all branches" if started else "no trained cascade is there"
    progress(f"nnUNet_results={results}: {found}, so the bundle {SHIPPED} is taken")


def _told(bundle: Bundle, progress: Progress) -> Bundle:
    progress(f"model {bundle.name}: {describe(bundle)}")
    return bundle
