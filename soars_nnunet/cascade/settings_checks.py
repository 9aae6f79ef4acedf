"""Settings of a branch in a bundle (``configuration["soars"]``): each by its own rule, and as the cascade has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from soars_nnunet.cascade.content import SETTINGS_KEYS
from soars_nnunet.cascade.manifest_checks import MAX_FOLDS, UPGRADE, BranchFacts
from soars_nnunet.profile import Profile
from soars_nnunet.schemas.node import Node
from soars_nnunet.schemas.profile_schema import MAX_ORGANS
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.rule import MAX_SEED, Rule, rules

MAX_FEATURES, MAX_CONVS = 1024, 8
"""Of a block of the network."""

MAX_BATCH = 1024

MAX_PATCH = 1024
"""Of an axis."""

FAR = 1e7
"""Beyond any HU, distance in mm or setting."""

SMALLER = {
    "features_per_stage": MAX_FEATURES,
    "n_convs_per_stage": MAX_CONVS,
    "batch_size": MAX_BATCH,
    "max_patch_voxels": MAX_PATCH,
    "sigma_mm": 1000,
    "seed": MAX_SEED,
    "search_seed": MAX_SEED,
}
"""Largest numbers of settings whose own rule has no upper end."""

STEP_SIZE = (0.1, 1.0)
"""Smaller steps of the sliding window take a day a CT."""


def check_settings(node: Node, facts: BranchFacts) -> None:
    """Check the settings of a branch: each by its own rule, what soars-plan adds against the cascade.

    Settings that this version does not know are refused in a bundle: they may say what a prediction must do.

    Raises:
        FaultError: If one is not as it should be.
    """
    known = dict(rules(BranchSettings))
    for name, value in node.fields(("branch",), SETTINGS_KEYS, UPGRADE).items():
        if name not in known or known[name].values.kind == "fact":
            continue
        with node.part():
            _check_value(value, name, known[name])
    _check_facts(node, facts)


def _check_value(node: Node, name: str, rule: Rule) -> None:
    if not rule.takes(node.value):
        node.refuse(f"{rule.values}")
    for item in node.items() if isinstance(node.value, list) else [node]:
        if isinstance(item.value, int | float) and item.value > SMALLER.get(name, FAR):
            item.refuse(f"at most {SMALLER.get(name, FAR):g}")


def _check_facts(node: Node, facts: BranchFacts) -> None:
    """What soars-plan adds to a regime's settings."""
    fields = node.entries()
    if facts.key:
        with node.part():
            fields["branch"].exactly(facts.key)
    fields["branch"].text("[a-z_]{1,40}")
    given: dict[str, Any] = {
        "guidance": list(facts.guidance),
        "patient_pattern": facts.patient_pattern,
        "channel_names": channel_names(len(facts.guidance)),
    }
    for name, value in given.items():
        if name not in fields or (name == "channel_names" and fields[name].value is None):
            continue
        if node.open and name == "patient_pattern":  # the cascade may be stratified anew after the training
            continue
        with node.part():
            fields[name].exactly(value)
    if facts.guidance and "guidance" not in fields:
        node.refuse("the key guidance", "settings without it")
    if "regime" in fields:
        fields["regime"].text("[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
    if fields.get("split_sha256") is not None and fields["split_sha256"].value is not None:
        fields["split_sha256"].text("[0-9a-f]{0,64}")
    if "in_sample" in fields and not isinstance(fields["in_sample"].value, bool):
        fields["in_sample"].refuse("true or false")
    if "step_size" in fields:
        fields["step_size"].numbers(3, *STEP_SIZE)
    with node.part():
        _check_mirror(fields.get("mirror"), {"classes": facts.classes, "channels": facts.guidance}, facts.profile)
    with node.part():
        _check_sides(fields.get("sides"), facts.classes, facts.profile)
    with node.part():
        _check_reach(fields.get("reach"), len(facts.guidance))
    if node.open:
        _check_start(fields.get("start"))


def _check_mirror(node: Node | None, names: Mapping[str, Sequence[str]], profile: Profile | None) -> None:
    """Orders have each name's other side at its place, background and CT at theirs."""
    if node is None:
        return
    for key, field in node.fields(tuple(names)).items():
        if field.value is None:
            continue
        size = len(names[key]) + 1
        indices = field.wholes(size, 0, size - 1)
        if sorted(indices) != list(range(size)) or indices[0] != 0:
            field.refuse(f"every number from 0 to {size - 1} once, 0 first")
        for name, index in zip(names[key], indices[1:], strict=True) if profile else ():
            if profile and names[key][index - 1] != profile.mirrored(name):
                field.refuse(f"{profile.mirrored(name)} as the other side of {name}", names[key][index - 1])


def _check_sides(node: Node | None, targets: Sequence[str], profile: Profile | None) -> None:
    """By fold, rows of two targets, one of each side, and their distance."""
    if node is None:
        return
    for fold in node.items(most=MAX_FOLDS):
        for row in fold.items(most=len(targets)):
            first, second, apart_mm = row.items(3, 3)
            one, other = targets[first.whole(0, len(targets) - 1)], targets[second.whole(0, len(targets) - 1)]
            if one == other or (profile and profile.mirrored(one) != other):
                row.refuse("two targets that are each other's other side", f"{one} and {other}")
            apart_mm.number(0, FAR)


def _check_reach(node: Node | None, num_anchors: int) -> None:
    """By fold and anchor, null or two corners."""
    if node is None:
        return
    for fold in node.items(most=MAX_FOLDS):
        for span in fold.items(most=num_anchors):
            if span.value is None:
                continue
            for corner in span.items(2, 2):
                corner.numbers(3, -FAR, FAR)


def _check_start(node: Node | None) -> None:
    """The bundle that a training started from; None for new weights."""
    if node is None or node.value is None:
        return
    fields = node.fields(("bundle", "sha256", "branch", "kept", "added", "patients", "folds"))
    for key in ("bundle", "sha256", "branch", "patients"):
        fields[key].text(most=200)
    for key in ("kept", "added"):
        fields[key].texts(MAX_ORGANS)
    for fold in fields["folds"].items(most=MAX_FOLDS):
        row = fold.fields(("file", "sha256", "fold"))
        row["file"].text(most=300)
        row["sha256"].text(most=64)
        row["fold"].whole(0, MAX_FOLDS)


def channel_names(num_guidance: int) -> dict[str, str]:
    """nnU-Net's names of a branch's channels, as soars-stratify and soars-plan write them."""
    names = {"0": "CT"}
    for channel in range(1, num_guidance + 1):
        names[str(channel)] = "noNorm"
    return names
