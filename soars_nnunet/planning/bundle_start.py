"""What branches take from a bundle (``soars-plan --from-bundle``): grid, HU unit, architecture, patch and weights.

A branch starts from the bundle's branch of its own key. Branches that segment the whole CT may start from the bundle's
anchors instead, if these know some of their organs. All that work on the whole CT share the grid of the bundle's
anchors, also those that start from scratch: one preprocessing serves them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from soars_nnunet.branches import Branch
from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.places import find_bundle, known_bundles
from soars_nnunet.cascade.case_names import patient_hashes
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.sizes import NetworkSize
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.overrides import named_settings
from soars_nnunet.settings.regime import load_regime, settings_from_bundle

FROM_ANCHORS = ("mid_level", "baseline")
"""Branches that may start from the bundle's anchors: they segment the whole CT, too."""

WHOLE_CT = ("anchor", "mid_level", "detection", "baseline")
"""Branches that work on the anchors' grid."""

GRID = ("hu_per_unit", "low_pass_ratio")
"""Settings that say what the numbers of a network's input mean."""

WIDTHS = ("features_per_stage", "n_convs_per_stage")
"""Settings that weights fit to."""

PATCH = ("max_patch_voxels", "max_patch_mm")
"""Settings by which the user wants another patch than the bundle's."""


@dataclass(frozen=True)
class TakenBranch:
    """What a branch takes from a bundle.

    Attributes:
        bundle: The bundle.
        source: Key of the bundle's branch.
        plans: Of that branch.
        folds: Fold of the bundle by fold of the dataset; empty if only the grid is taken and weights are new.
    """

    bundle: Bundle
    source: str
    plans: PlansFile
    folds: tuple[int, ...]

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """(Z, Y, X) of the network's grid."""
        return tuple(self.plans.spacing_mm)

    @property
    def architecture(self) -> dict[str, Any]:
        """Arguments of the bundle's P-HNN."""
        return self.plans.configuration["architecture"]["arch_kwargs"]

    @property
    def taken_settings(self) -> tuple[str, ...]:
        """Settings that the bundle decides."""
        return GRID + WIDTHS if self.folds else GRID

    def settings(self, own: BranchSettings, overrides: Sequence[str]) -> BranchSettings:
        """Settings of a regime and the user with what the bundle decides."""
        if self.folds:
            own = settings_from_bundle(own, overrides)
        theirs = self.plans.settings
        taken = {key: getattr(theirs, key) for key in self.taken_settings}
        return replace(own, **taken)

    def size(self, own: NetworkSize, branch: str, overrides: Sequence[str]) -> NetworkSize:
        """Patch and strides of the network.

        Args:
            own: As they would be without the bundle, which is the patch if the user named one, or if VOIs have to fit.
            branch: Key of the branch.
            overrides: ``KEY=VALUE`` regime values of the user.
        """
        strides = tuple((int(z), int(y), int(x)) for z, y, x in self.architecture["strides"])
        if branch == "small_hard" or named_settings(overrides, branch) & set(PATCH):
            return replace(own, strides=strides, reason=f"{own.reason}; poolings are those of {self.bundle.name}")
        z, y, x = self.plans.configuration["patch_size"]
        spacing = " x ".join(f"{mm:.2f}" for mm in self.spacing_mm)
        return NetworkSize(
            (z, y, x), strides, f"patch {z} x {y} x {x} voxels at spacing {spacing} mm, as in {self.bundle.name}"
        )


def lasting_name(name_or_path: str) -> str:
    """A bundle as later runs find it: its name, or its absolute path.

    Raises:
        MissingArtifactError: If there is none.
    """
    if name_or_path in known_bundles():
        return name_or_path
    return str(find_bundle(name_or_path).resolve())


def take_branches(cascade: Cascade, branches: Sequence[Branch], options: PlanOptions) -> dict[str, TakenBranch]:
    """What each branch takes from the bundle that the options name, by key; nothing where they name none.

    Raises:
        InputError: If options contradict the bundle, or every fold of it trained on patients that are to validate.
        MissingArtifactError: If there is no such bundle, or it is damaged.
    """
    if options.from_bundle is None:
        return {}
    bundle = open_bundle(options.from_bundle)
    taken = {}
    for branch in branches:
        one = _take_branch(cascade, branch.key, bundle)
        if one is not None:
            taken[branch.key] = one
    found = []
    for key, one in taken.items():
        found += _contradictions(key, one, options)
    if found:
        raise InputError(
            f"--from-bundle {bundle.name} contradicts other options, of this run or remembered of an earlier one: "
            f"{'; '.join(found)}; leave these out, with a new --plans-name"
        )
    return taken


def _take_branch(cascade: Cascade, key: str, bundle: Bundle) -> TakenBranch | None:
    source = _source_of_weights(cascade, key, bundle)
    if source is not None:
        folds = _choose_folds(cascade, bundle, source)
        return TakenBranch(bundle, source, PlansFile(bundle.branch(source).plans), folds)
    if key in WHOLE_CT and "anchor" in bundle.manifest.branches:
        return TakenBranch(bundle, "anchor", PlansFile(bundle.branch("anchor").plans), ())
    return None


def _source_of_weights(cascade: Cascade, key: str, bundle: Bundle) -> str | None:
    """Key of the bundle's branch that a branch can start from."""
    known = bundle.manifest.branches
    if key in known:
        return key
    if key not in FROM_ANCHORS or "anchor" not in known:
        return None
    names = {name for name, _ in branch_labels(cascade, key)}
    return "anchor" if names & set(known["anchor"].classes) else None


def _choose_folds(cascade: Cascade, bundle: Bundle, source: str) -> tuple[int, ...]:
    """Fold of the bundle by fold of the dataset: the one of the same number, modulo theirs, or the next that is fit.

    Raises:
        InputError: If for some fold all of the bundle's trained on patients that it validates.
    """
    available = bundle.branch(source).folds
    chosen = []
    found = []
    for fold, split in enumerate(cascade.splits()):
        validated = cascade.patients(split["val"])
        start = fold % len(available)
        in_turn = available[start:] + available[:start]
        seen = []
        for candidate in in_turn:
            trained_on = bundle.manifest.trained_on(source, [candidate])
            seen.append(len(_seen_patients(cascade, bundle, trained_on, split["val"])))
        if min(seen):
            found.append(f"{min(seen)} of {len(validated)} of fold {fold}")
        chosen.append(in_turn[int(np.argmin(seen))])
    if found:
        raise InputError(
            f"--from-bundle {bundle.name}: expected validation patients that it did not train on, got "
            f"{', '.join(found)} (by their names); scores would be too high: leave these patients out, or rename the "
            "cases if they only have the same names"
        )
    return tuple(chosen)


def _seen_patients(cascade: Cascade, bundle: Bundle, trained_on: set[str], cases: Sequence[str]) -> set[str]:
    """Patients of cases whose hashes are among those given, as the dataset or the bundle finds them in the names."""
    patterns = (cascade.patient_pattern, bundle.manifest.patient_pattern)
    seen = set()
    for case in cases:
        if patient_hashes([case], patterns) & trained_on:
            seen |= cascade.patients([case])
    return seen


def _contradictions(key: str, taken: TakenBranch, options: PlanOptions) -> list[str]:
    """What the user's options say otherwise, in words."""
    found = []
    wish = options.spacing_of(key)
    if wish is not None and not _alike(wish, taken.spacing_mm):
        option = "--small-hard-spacing" if key == "small_hard" else "--spacing"
        found.append(f"{option} for {key}: expected {_spaced(taken.spacing_mm)}, got {_spaced(wish)}")
    genotype = (options.genotypes or {}).get(key)
    theirs = taken.architecture["genotype"]
    if taken.folds and genotype is not None and list(genotype) != list(theirs):
        found.append(f"--genotype for {key}: expected {' '.join(theirs)}, got {' '.join(genotype)}")
    return found + _other_settings(key, taken, options)


def _other_settings(key: str, taken: TakenBranch, options: PlanOptions) -> list[str]:
    own = load_regime(options.regime, key, options.overrides)
    found = []
    for name in sorted(named_settings(options.overrides, key) & set(taken.taken_settings)):
        theirs, ours = getattr(taken.plans.settings, name), getattr(own, name)
        if theirs != ours:
            found.append(f"--set {key}.{name}: expected {_json(theirs)}, got {_json(ours)}")
    return found


def _alike(one_mm: Sequence[float], other_mm: Sequence[float]) -> bool:
    """Whether spacings are the same to a tenth of a micrometre, as which they are typed."""
    return len(one_mm) == len(other_mm) and bool(np.allclose(one_mm, other_mm, rtol=0, atol=1e-4))


def _spaced(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _json(value: Any) -> str:
    return "null" if value is None else str(list(value) if isinstance(value, tuple) else value)
