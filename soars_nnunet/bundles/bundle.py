"""An opened bundle: a trained cascade whose files are checked against its manifest before anything uses them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soars_nnunet.bundles.container import AGAIN, Container, open_container, refusal
from soars_nnunet.bundles.format import CARD, CARD_DATA, FORMAT_VERSION, BundleManifest
from soars_nnunet.bundles.validation import bundle_manifest
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import MANIFEST
from soars_nnunet.cascade.stored_model import BundleFacts, StoredCascade, StoredModel
from soars_nnunet.schemas.strict_json import parse_json, require_plain_text

if TYPE_CHECKING:
    import torch

MAX_JSON = 16 * 2**20
"""Bytes of a manifest or card; a cascade of 42 organs and four folds has about a tenth."""


class Bundle(StoredCascade):
    """A trained cascade out of a bundle; nothing in it is unpickled or imported.

    The manifest is checked as a whole when it is opened, other files when they are read; ``verify`` reads all.

    Args:
        path: Its folder or zip.

    Attributes:
        path: As given.
        described: What its ``manifest.json`` says.

    Raises:
        MissingArtifactError: If it is no bundle, or a damaged one; one line that says what was found where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = open_container(path)
        content = self._container.read(MANIFEST, MAX_JSON)
        self._sha256 = hashlib.sha256(content).hexdigest()
        where = f"{path}/{MANIFEST}"
        self.described = bundle_manifest(parse_json(content, where, advice=AGAIN), where)
        _check_files(self._container, self.described)

    @property
    def name(self) -> str:
        """Of the bundle, as its manifest has it."""
        return self.described.name

    @property
    def manifest(self) -> Manifest:
        """What prediction must know of the cascade."""
        return self.described.cascade

    @property
    def bundle(self) -> BundleFacts:
        """For reports."""
        return BundleFacts(self.name, FORMAT_VERSION, self._sha256)

    def branch(self, key: str) -> BundleModel:
        """A branch of ``manifest.branches``."""
        return BundleModel(self, key)

    def postprocessing(self) -> Mapping[str, Any] | None:
        """The decision that travels with the weights; it holds for all of them."""
        decided = self.described.postprocessing
        if decided is None:
            return None
        models = {}
        for key in self.described.branches:
            model = self.branch(key)
            models[key] = model.fingerprint(model.folds)
        return {**decided, "models": models}

    @cached_property
    def card(self) -> dict[str, Any]:
        """The model card for programs.

        Raises:
            MissingArtifactError: If it is damaged.
        """
        where = f"{self.path}/{CARD_DATA}"
        data = parse_json(self.read(CARD_DATA), where, several_lines=True, advice=AGAIN)
        if not isinstance(data, dict):
            raise refusal(where, "a model card (a JSON object)", "other JSON")
        return data

    @cached_property
    def card_text(self) -> str:
        """The model card for people, Markdown.

        Raises:
            MissingArtifactError: If it is damaged.
        """
        where = f"{self.path}/{CARD}"
        try:
            text = self.read(CARD).decode("utf-8")
        except UnicodeDecodeError as error:
            raise refusal(where, "UTF-8 text", "other bytes") from error
        require_plain_text(text, where, several_lines=True, advice=AGAIN)
        return text

    def read(self, name: str) -> bytes:
        """A file that the manifest lists, checked against its size and hash.

        Raises:
            MissingArtifactError: If it is another than the one that was packed.
        """
        entry = self.described.files[name]
        where = f"{self.path}/{name}"
        content = self._container.read(name, entry.bytes)
        found = hashlib.sha256(content).hexdigest()
        if found != entry.sha256:
            raise refusal(where, f"SHA-256 {entry.sha256[:16]}...", f"{found[:16]}...: the file is another one")
        return content

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Every file by name with its bytes, each as the manifest has it, and the manifest itself at the end.

        Raises:
            MissingArtifactError: If a file is another than the one that was packed.
        """
        for name in self.described.files:
            yield name, self.read(name)
        yield MANIFEST, self._container.read(MANIFEST, MAX_JSON)

    def verify(self) -> None:
        """Read every file: hashes, cards, and all weights of all folds.

        Raises:
            MissingArtifactError: At the first that is not as it should be.
        """
        weights = set()
        for key, branch in self.described.branches.items():
            model = self.branch(key)
            for fold, name in branch.folds.items():
                model.weights(fold)
                weights.add(name)
        for name in sorted(set(self.described.files) - weights):
            self.read(name)
        _ = self.card, self.card_text


class BundleModel(StoredModel):
    """A branch of a bundle."""

    def __init__(self, bundle: Bundle, key: str) -> None:
        self._bundle, self._branch, self._key = bundle, bundle.described.branches[key], key

    @property
    def name(self) -> str:
        """Name of the bundle."""
        return self._bundle.name

    @property
    def where(self) -> str:
        """Path of the bundle, and the branch in it."""
        return f"{self._bundle.path} ({self._key})"

    @property
    def plans(self) -> dict[str, Any]:
        """Out of the manifest."""
        return self._branch.plans

    @property
    def dataset_json(self) -> dict[str, Any]:
        """Out of the manifest."""
        return self._branch.dataset

    @property
    def folds(self) -> list[int]:
        """As the manifest lists them."""
        return list(self._branch.folds)

    def fingerprint(self, folds: Sequence[int]) -> list[str]:
        """As the manifest has them; ``weights`` reads no file with another hash."""
        files = self._bundle.described.files
        return [files[self._branch.folds[fold]].sha256 for fold in folds]

    def weights(self, fold: int) -> dict[str, torch.Tensor]:
        """Weights of a fold, float32."""
        from soars_nnunet.bundles.weights import read_weights  # torch takes seconds, and lists do without it

        name = self._branch.folds[fold]
        return read_weights(self._bundle.read(name), self._expected, f"{self._bundle.path}/{name}")

    @cached_property
    def _expected(self) -> Mapping[str, tuple[str, list[int]]]:
        """Tensors of the network."""
        from soars_nnunet.bundles.weights import expected_tensors

        return expected_tensors(self._branch, self._bundle.described.precision)

    @property
    def without_folds(self) -> str:
        """A bundle has at least one."""
        return f"expected weights of a fold, found none; {AGAIN}"


def _check_files(container: Container, described: BundleManifest) -> None:
    """The files that lie there are those of the manifest, of the sizes that it says.

    Raises:
        MissingArtifactError: If not.
    """
    there = set(container.sizes) - {MANIFEST}
    listed = set(described.files)
    where = str(container.path)
    if there - listed:
        names = ", ".join(sorted(there - listed))
        raise refusal(where, "the files that manifest.json lists", f"also {names}", f"delete them, or {AGAIN}")
    if listed - there:
        raise refusal(where, f"the files {', '.join(sorted(listed - there))}", "a bundle without them")
    for name, entry in described.files.items():
        if container.sizes[name] != entry.bytes:
            raise refusal(f"{where}/{name}", f"{entry.bytes} bytes", f"{container.sizes[name]}")
