"""What makes a cascade's output on new or validation cases less comparable with its training, a sentence each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.made_from import MadeFrom
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.prediction.tiling import Tiling, tiling_options


def tiling_doubts(made_from: MadeFrom | None, branches: Collection[str], used: Tiling) -> list[str]:
    """Guidance that is made with another tiling than in training; empty if none is, or nothing is known.

    Args:
        made_from: Of the manifest.
        branches: Keys of those in use.
        used: Tiling of the prediction.
    """
    others: dict[str, list[str]] = {}
    for key, stored in made_from.tilings.items() if made_from else ():
        trained = Tiling.from_json(stored)
        if key in branches and trained != used:
            others.setdefault(_typed(trained), []).append(BRANCHES[key].suffix)
    found = []
    for trained_with, names in others.items():
        found.append(
            f"What guides {', '.join(names)} was made with {trained_with} for the training and is made with "
            f"{_typed(used)} here; scores may differ a little."
        )
    return found


def cross_validation_doubts(
    manifest: Manifest, tiling: Tiling, folds: Sequence[int] | None, num_folds: int
) -> list[str]:
    """What cross-validated scores owe to the cases that are scored; empty if nothing is known of any.

    Args:
        manifest: Of the cascade.
        tiling: Of the prediction.
        folds: Whose validation cases are scored; None for all.
        num_folds: Of the split.
    """
    found = tiling_doubts(manifest.made_from, manifest.branches, tiling)
    wanted = range(num_folds) if folds is None else sorted(set(folds))
    for key, fold in manifest.made_from.genotype_folds.items() if manifest.made_from else ():
        seen = [scored for scored in wanted if scored != fold or fold not in range(num_folds)]
        if seen:
            listed = ", ".join(str(scored) for scored in seen)
            found.append(
                f"The genotype of {BRANCHES[key].suffix} was searched on the training cases of fold {fold}, which are "
                f"scored here in fold(s) {listed}."
            )
    if manifest.targets:
        cases = max(facts.cases for facts in manifest.targets.values())
        found.append(
            f"VOI sizes and thresholds of low confidence were taken from all {cases} training cases, the scored ones "
            "among them."
        )
    return found


def _typed(tiling: Tiling) -> str:
    return tiling_options(tiling).strip() or "the default tiling"
