"""What a new stratification of a dataset makes stale: models of the former one, and all that was made with them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress

ASIDE = "stale_"
"""Start of the name of the folder, beside a stale model, to which it is moved; nothing looks for models there."""

MAX_SHOWN = 4
"""Stale folders that a refusal names."""


def changes(before: Cascade, after: Cascade) -> list[str]:
    """How a stratification contradicts the former one, a phrase each; empty if what was made of that still holds.

    Facts that an earlier version did not record are not compared. A further branch is no contradiction.
    """
    found = []
    if _organs(before.profile) != _organs(after.profile):
        found.append(_profile_change(before.profile, after.profile))
    elif before.labels != after.labels:
        found.append("other labels of the dataset's organs")
    if before.num_folds != after.num_folds:
        found.append(f"{after.num_folds} folds in place of {before.num_folds}")
    elif before.cases and before.cases != after.cases:
        more, fewer = set(after.cases) - set(before.cases), set(before.cases) - set(after.cases)
        found.append(f"{len(more)} case(s) more and {len(fewer)} fewer")
    elif before.split_sha256 and before.split_sha256 != after.split_sha256:
        found.append("another split of the patients")
    if before.patient_pattern != after.patient_pattern:
        found.append(f"patient pattern '{after.patient_pattern}' in place of '{before.patient_pattern}'")
    for key, name in before.datasets.items():
        if key != "baseline" and after.datasets.get(key) != name:
            found.append(f"{name} {'renamed' if key in after.datasets else 'left out'}")
    return found


def changes_of_contours(before: Cascade, after: Cascade) -> list[str]:
    """The same of the organs that cases lack, which are known once all label maps are read."""
    if not before.cases:  # an earlier version's record
        return []
    cases = _differing(before.not_annotated, after.not_annotated) | _differing(before.empty, after.empty)
    return [f"other organs not annotated or empty in {len(cases)} case(s)"] if cases else []


def require_nothing_trained(before: Cascade, found: Sequence[str], *, overwrite: bool) -> None:
    """Check that no model is made stale, unless the user wants that.

    Args:
        before: The former stratification.
        found: Contradictions to it.
        overwrite: The user does.

    Raises:
        InputError: Naming the contradictions, what would become stale, and the ways out.
    """
    if not found or overwrite:
        return
    stale = trained_models(before)
    if not stale:
        return
    shown = ", ".join(_shown(path) for path in stale[:MAX_SHOWN])
    more = f" and {len(stale) - MAX_SHOWN} more" if len(stale) > MAX_SHOWN else ""
    raise InputError(
        f"{before.source}: expected the options of the last run, as models are trained on it, got {'; '.join(found)}; "
        f"stale would be {shown}{more}, with all that was predicted, decided and evaluated by them; copy the dataset "
        "to a new id, or give --overwrite, which moves them aside"
    )


def set_aside(before: Cascade, progress: Progress) -> None:
    """Remove what was made of the former stratification and can be made again, and move its models aside.

    An interruption leaves models in their place until all else is removed, so that a rerun begins anew.

    Args:
        before: The former stratification.
        progress: Receives a line for each folder.
    """
    for name in before.datasets.values():
        folder = preprocessed_folder() / name
        if folder.is_dir():
            shutil.rmtree(folder)
            progress(f"stale, removed: {folder} (plans, preprocessed cases, channels)")
        if (raw_folder() / name).is_dir():
            shutil.rmtree(raw_folder() / name)
            progress(f"stale, removed: {raw_folder() / name} (label maps or crops)")
    for folder in trained_models(before) + _made_of_models(before):
        target = _aside(folder)
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        progress(f"stale, moved aside: {folder} -> {target}")


def trained_models(cascade: Cascade) -> list[Path]:
    """Model folders with weights of any fold, of finished trainings or not, sorted; empty without nnUNet_results."""
    found = set()
    for name in cascade.datasets.values():
        for path in _results(name).glob("*/fold_*/checkpoint*.pth"):
            found.add(path.parent.parent)
    return sorted(found)


def _made_of_models(cascade: Cascade) -> list[Path]:
    """Folders of manifests, with cross-validations and post-processing, and of what bundles predicted."""
    folder = _results(cascade.source)
    return sorted([*folder.glob("SOARS__*"), *folder.glob("BUNDLE__*")])


def _results(name: str) -> Path:
    """A dataset's folder of results, which need not be there; one that is nowhere without nnUNet_results."""
    return Path(os.environ.get("nnUNet_results") or os.devnull) / name


def _aside(folder: Path) -> Path:
    """Where a folder is moved: into the first folder for stale ones that has none of its name."""
    number = 1
    while (folder.parent / f"{ASIDE}{number}" / folder.name).exists():
        number += 1
    return folder.parent / f"{ASIDE}{number}" / folder.name


def _organs(profile: Profile) -> list[tuple[object, ...]]:
    """All of a profile on which labels, networks and crops depend."""
    rows: list[tuple[object, ...]] = []
    for organ in profile.organs:
        rows.append((organ.name, organ.label, organ.tier, organ.mirror, organ.target, organ.precedence))
    return rows


def _profile_change(before: Profile, after: Profile) -> str:
    if before.name != after.name:
        return f"profile {after.name} in place of {before.name}"
    tiers = {organ.name: organ.tier for organ in before.organs}
    moved = [organ.name for organ in after.organs if tiers.get(organ.name, organ.tier) != organ.tier]
    if moved:
        return f"other tiers of {len(moved)} organ(s) of profile {after.name}, such as {moved[0]} (see --one-tier)"
    return f"other organs or labels in profile {after.name}"


def _differing(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    """Cases whose organs differ."""
    return {case for case in {*before, *after} if set(before.get(case, ())) != set(after.get(case, ()))}


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
