"""Writing a bundle: from a trained cascade, or from another bundle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.bundles.format import CARD, CARD_DATA, About, BundleBranch, BundleManifest, FileEntry
from soars_nnunet.bundles.weights import stored_dtype
from soars_nnunet.cascade.content import clean_dataset, clean_plans
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import MANIFEST
from soars_nnunet.cascade.storage import file_hash, new_staging, publish, replacing, write_json, write_text
from soars_nnunet.cascade.stored_model import StoredCascade, StoredModel
from soars_nnunet.errors import MissingArtifactError

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file in a zip, so that equal bundles have equal zips."""


@dataclass(frozen=True)
class BundleRequest:
    """What a bundle is to hold beside the cascade.

    Attributes:
        name: By which it is found, see ``BundleManifest``.
        about: For the line that says which model is used.
        precision: ``fp16`` or ``fp32``.
        card: The model card for programs: JSON-able; written to ``card.json``.
        card_text: The model card for people, Markdown; written to ``card.md``.
        folds: Which folds of every branch; None for all trained ones of the split.
        created: ISO 8601, UTC; empty for now.
        anatomy: What the training cases show of the organs; None for what the cascade's manifest says.
    """

    name: str
    about: About
    precision: str = "fp16"
    card: Mapping[str, Any] = field(default_factory=dict)
    card_text: str = ""
    folds: Sequence[int] | None = None
    created: str = ""
    anatomy: AnatomyFacts | None = None


def write_bundle(cascade: StoredCascade, folder: Path, request: BundleRequest) -> None:
    """Write a bundle's folder, whole or not at all; one that lies there is replaced.

    A decision on post-processing goes along if it was taken for all of the weights that do. What is written is read
    back by ``open_bundle(folder).verify()``, which the caller should call.

    Args:
        cascade: The trained cascade: ``TrainedCascade(manifest)``, or another bundle.
        folder: Where to; its parent is made if need be.
        request: Name, texts, precision and folds.

    Raises:
        MissingArtifactError: If a branch or a fold is not trained or its weights are unreadable.
    """
    manifest = cascade.manifest
    if request.anatomy is not None:
        manifest = replace(manifest, anatomy=request.anatomy)
    branches: dict[str, BundleBranch] = {}
    fingerprints: dict[str, list[str]] = {}
    with new_staging(folder) as staging:
        for key, branch in manifest.branches.items():
            stored = cascade.branch(key)
            folds = _folds(stored, request.folds, len(branch.training_patients))
            fingerprints[key] = stored.fingerprint(folds)
            files = {fold: f"{key}_fold_{fold}.safetensors" for fold in folds}
            for fold, name in files.items():
                _write_weights(stored.weights(fold), staging / name, request.precision)
            branches[key] = BundleBranch(clean_plans(stored.plans), clean_dataset(stored.dataset_json), files)
        write_text(staging / CARD, request.card_text)
        write_json(staging / CARD_DATA, dict(request.card))
        described = BundleManifest(
            name=request.name,
            created=request.created or datetime.now(timezone.utc).isoformat(timespec="seconds"),
            precision=request.precision,
            about=request.about,
            cascade=_without_folders(manifest),
            branches=branches,
            postprocessing=_decision(cascade.postprocessing(), fingerprints),
            files=_entries(staging),
        )
        write_json(staging / MANIFEST, described.to_json())
        publish(staging, folder)


def zip_bundle(folder: Path, path: Path) -> None:
    """Write a bundle's folder as a zip, whole or not at all; the same folder gives the same bytes.

    Args:
        folder: Of the bundle.
        path: The zip, replaced if it is there.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(file.name, ZIP_TIME)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes())


def _folds(stored: StoredModel, folds: Sequence[int] | None, num_folds: int) -> list[int]:
    """Asked for, or the trained ones of the split."""
    if folds is None:
        folds = [fold for fold in stored.folds if fold < num_folds]
    return sorted(stored.choose_folds(folds))


def _write_weights(weights: Mapping[str, torch.Tensor], path: Path, precision: str) -> None:
    """Store kernels in a precision, the rest in full.

    Raises:
        MissingArtifactError: If a weight is not finite in that precision.
    """
    stored = {}
    for name, tensor in weights.items():
        tensor = rounded(tensor, stored_dtype(tensor, precision))
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise MissingArtifactError(
                f"{path.name}: expected finite weights in {precision}, got others in {name}; "
                "use --precision fp32, or retrain the fold if it has diverged"
            )
        stored[name] = tensor.contiguous()
    path.write_bytes(save(stored))


def rounded(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor in another type; sums over a kernel's neighbouring weights stay as they were.

    What rounding takes from a weight is added to the next one of the same kernel before that is rounded (error
    diffusion). The input of a kernel is alike from voxel to voxel, so its output depends on such sums: labels of the
    demo's cascade differ in a quarter of the voxels in which they differ where each weight is rounded by itself.

    Args:
        tensor: Kernels (out, in, z, y, x) where the type has fewer digits.
        dtype: Type to round to.
    """
    if tensor.dtype == dtype or not dtype.is_floating_point:
        return tensor.to(dtype)
    weights = tensor.double().flatten(2)
    result = torch.empty_like(weights, dtype=dtype)
    rest = torch.zeros_like(weights[..., 0])
    for index, weight in enumerate(weights.unbind(2)):
        wanted = weight + rest
        result[..., index] = wanted
        rest = wanted - result[..., index]
    return result.reshape(tensor.shape)


def _without_folders(manifest: Manifest) -> Manifest:
    branches = {key: replace(branch, model="", weights={}) for key, branch in manifest.branches.items()}
    return replace(manifest, branches=branches, made_from=None)


def _decision(decided: Mapping[str, Any] | None, fingerprints: Mapping[str, Sequence[str]]) -> dict[str, Any] | None:
    """The decision without the weights' hashes; None if it was taken for others."""
    if decided is None:
        return None
    for key, hashes in fingerprints.items():
        if not set(hashes) <= set(decided["models"].get(key, ())):
            return None
    return {key: decided[key] for key in ("largest_part", "effects", "options") if key in decided}


def _entries(folder: Path) -> dict[str, FileEntry]:
    entries = {}
    for path in sorted(folder.iterdir()):
        entries[path.name] = FileEntry(sha256=file_hash(path), bytes=path.stat().st_size)
    return entries
