"""``manifest.json`` of a bundle from JSON to data; anything odd is refused with the place where it stands."""

from __future__ import annotations

from typing import Any

from soars_nnunet.bundles.container import AGAIN, BUNDLE_NAME, MAX_BYTES, MAX_FILES, is_bundle_name
from soars_nnunet.bundles.format import (
    CARD,
    CARD_DATA,
    FORMAT,
    FORMAT_VERSION,
    PRECISIONS,
    About,
    BundleBranch,
    BundleManifest,
    FileEntry,
)
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.manifest_checks import MAX_FOLDS, UPGRADE, check_cascade, check_postprocessing
from soars_nnunet.cascade.record import MANIFEST
from soars_nnunet.networks.plans_checks import check_dataset, check_plans
from soars_nnunet.schemas.names import is_plain_name
from soars_nnunet.schemas.node import Node

WEIGHTS = ".safetensors"

TEXTS = (".md", ".json", ".txt")
"""Endings of files beside the weights: cards, licences."""

FIELDS = ("format", "name", "created", "precision", "about", "cascade", "branches", "postprocessing", "files")


def bundle_manifest(data: Any, where: str) -> BundleManifest:
    """A bundle's manifest out of parsed JSON.

    Args:
        data: As ``parse_json`` gives it.
        where: Of the file, for messages.

    Raises:
        FaultError: If it is no manifest of this version, or a value in it is not as it should be.
    """
    node = Node(data, where, advice=AGAIN)
    _check_version(node)
    fields = node.fields((*FIELDS, "format_version"), advice=UPGRADE)
    check_cascade(fields["cascade"], stored=False)
    cascade = Manifest.from_dict(fields["cascade"].value)
    files = _files(fields["files"])
    name = fields["name"].text(BUNDLE_NAME)
    if not is_bundle_name(name):
        fields["name"].refuse("a name that a folder can have on any system")
    about = fields["about"].fields(("trained_on", "license"), ("citation",), UPGRADE)
    return BundleManifest(
        name=name,
        created=fields["created"].text(r"\d{4}-\d\d-\d\d(T[0-9:.]+(Z|[+-]\d\d:\d\d)?)?"),
        precision=fields["precision"].one_of(PRECISIONS, UPGRADE),
        about=About(**{key: value.text() for key, value in about.items()}),
        cascade=cascade,
        branches=_branches(fields["branches"], cascade, files, fields["files"]),
        postprocessing=_postprocessing(fields["postprocessing"], cascade),
        files=files,
    )


def _check_version(node: Node) -> None:
    found = node.entries()
    if "format" not in found:
        node.refuse("the manifest of a bundle", "other JSON", "name a bundle's folder or zip")
    found["format"].exactly(FORMAT, "name a bundle's folder or zip")
    if "format_version" not in found:
        node.refuse("the key format_version", "an object without it")
    found["format_version"].exactly(FORMAT_VERSION, "upgrade soars_nnunet if the number is higher, or ask its maker")


def _files(node: Node) -> dict[str, FileEntry]:
    files = {}
    for name, entry in node.entries(MAX_FILES).items():
        if not is_plain_name(name) or name == MANIFEST or not name.endswith((WEIGHTS, *TEXTS)):
            node.refuse(f"names of plain files that end in {WEIGHTS}, {', '.join(TEXTS)}", f"'{name}'")
        fields = entry.fields(("sha256", "bytes"), advice=UPGRADE)
        files[name] = FileEntry(
            sha256=fields["sha256"].text("[0-9a-f]{64}"),
            bytes=fields["bytes"].whole(0, MAX_BYTES),
        )
    for name in (CARD, CARD_DATA):
        if name not in files:
            node.refuse(f"also {name}", "files without it")
    return files


def _branches(node: Node, cascade: Manifest, files: dict[str, FileEntry], listed: Node) -> dict[str, BundleBranch]:
    """Branches with checked plans; every file of weights belongs to one fold."""
    branches = {}
    used: set[str] = set()
    for key, branch in node.fields(cascade.branches).items():
        fields = branch.fields(("plans", "dataset", "folds"), advice=UPGRADE)
        facts = cascade.facts(key)
        check_plans(fields["plans"], facts)
        check_dataset(fields["dataset"], facts)
        folds = _folds(fields["folds"], len(cascade.branches[key].training_patients), files)
        if used & set(folds.values()):
            fields["folds"].refuse("a file for each fold", "one for two")
        used.update(folds.values())
        branches[key] = BundleBranch(fields["plans"].value, fields["dataset"].value, folds)
    unused = {name for name in files if name.endswith(WEIGHTS)} - used
    if unused:
        listed.refuse("weights of the branches' folds alone", f"also {', '.join(sorted(unused))}")
    return {key: branches[key] for key in cascade.branches}


def _folds(node: Node, num_folds: int, files: dict[str, FileEntry]) -> dict[int, str]:
    """File by fold, ascending."""
    folds = {}
    for key, name in node.entries(MAX_FOLDS).items():
        if key not in {str(fold) for fold in range(num_folds)}:
            node.refuse(f"folds from 0 to {num_folds - 1}, as the patients have", f"'{key}'")
        if name.text() not in files or not name.value.endswith(WEIGHTS):
            name.refuse(f"a {WEIGHTS} file that files lists")
        folds[int(key)] = name.value
    if not folds or len(set(folds.values())) != len(folds):
        node.refuse("at least one fold, each with a file of its own")
    return dict(sorted(folds.items()))


def _postprocessing(node: Node, cascade: Manifest) -> dict[str, Any] | None:
    """The decision; its organs are the cascade's."""
    if node.value is None:
        return None
    check_postprocessing(node, set(cascade.profile.by_name), None)
    return node.value
