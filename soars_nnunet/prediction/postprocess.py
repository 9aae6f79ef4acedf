"""Post-processing decided out of fold: organs of which only the largest part is kept (``keep_largest_parts``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soars_nnunet.cascade.record import POSTPROCESSING
from soars_nnunet.cascade.storage import provenance, write_json
from soars_nnunet.evaluation.surface import dice
from soars_nnunet.geometry.components import keep_largest_parts
from soars_nnunet.profile import Profile


@dataclass(frozen=True)
class ComponentEffect:
    """What keeping only the largest part does to one organ, out of fold.

    Attributes:
        organ: Name in the profile.
        n: Cases whose reference has the organ.
        dsc: Mean Dice coefficient over them as predicted.
        dsc_largest: The same of the largest part alone.
    """

    organ: str
    n: int
    dsc: float
    dsc_largest: float

    @property
    def helps(self) -> bool:
        """Whether the mean rises: nnU-Net's rule for its own post-processing."""
        return self.dsc_largest > self.dsc


@dataclass(frozen=True)
class ComponentDices:
    """Dice coefficients of an organ in one case, 0 to 1.

    Attributes:
        as_predicted: Of all its voxels.
        largest: Of its largest part alone.
    """

    as_predicted: float
    largest: float


def component_dices(
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    profile: Profile,
    *,
    labels: Mapping[str, int],
) -> dict[str, ComponentDices]:
    """Dice coefficients of one case as predicted and with each organ's largest part alone.

    As ``score_case`` scores them: an organ with ``composite`` as the union of those organs.

    Args:
        predicted: (Z, Y, X) in the profile's labels.
        reference: (Z, Y, X) in the source dataset's labels, on the same grid.
        spacing_mm: (Z, Y, X).
        profile: Organs.
        labels: Source dataset's label by organ.

    Returns:
        By organ that the reference has; empty if it has none.
    """
    found = {}
    cleaned = keep_largest_parts(predicted, [organ.label for organ in profile.organs], spacing_mm)
    for name, value in labels.items():
        if not (reference == value).any():
            continue
        organ = profile.by_name[name]
        parts = organ.composite or (name,)
        mask = np.isin(reference, [labels[part] for part in parts if part in labels])
        others = np.isin(predicted, [profile.by_name[part].label for part in parts if part != name])
        found[name] = ComponentDices(
            as_predicted=dice(others | (predicted == organ.label), mask),
            largest=dice(others | (cleaned == organ.label), mask),
        )
    return found


def component_effects(cases: Sequence[Mapping[str, ComponentDices]], profile: Profile) -> list[ComponentEffect]:
    """What keeping the largest part does to each organ over all cases.

    Args:
        cases: Of each case, what ``component_dices`` returns.
        profile: Organs.

    Returns:
        In the profile's order; organs that no case's reference has are left out.
    """
    effects = []
    for organ in profile.organs:
        dices = [case[organ.name] for case in cases if organ.name in case]
        if not dices:
            continue
        pairs = [(pair.as_predicted, pair.largest) for pair in dices]
        dsc, dsc_largest = np.mean(pairs, axis=0).tolist()
        effects.append(ComponentEffect(organ=organ.name, n=len(dices), dsc=dsc, dsc_largest=dsc_largest))
    return effects


def format_effects(effects: Sequence[ComponentEffect]) -> list[str]:
    """One line an organ whose Dice the largest part changes, and what is decided; empty without any."""
    lines = []
    for effect in effects:
        if effect.dsc == effect.dsc_largest:
            continue
        scores = f"DSC {effect.dsc:.4f} -> {effect.dsc_largest:.4f} over {effect.n} cases"
        lines.append(f"{effect.organ}: {scores}; {'kept' if effect.helps else 'not applied'}")
    return lines


def write_postprocessing(
    manifest: Path,
    effects: Sequence[ComponentEffect],
    models: Mapping[str, Sequence[str]],
    options: Mapping[str, Any],
    *,
    cascade: str = "",
) -> Path:
    """Record which organs are reduced to their largest part, for prediction to find.

    Args:
        manifest: Of the cascade; the record lies beside it.
        effects: Out-of-fold effect by organ.
        models: Hashes of the weights that the effects were measured with, by branch.
        options: How the cases were predicted, for the record: the decision holds however later ones are.
        cascade: The manifest's fingerprint; empty where it is not known.
    """
    path = manifest.with_name(POSTPROCESSING)
    record = {
        "largest_part": [effect.organ for effect in effects if effect.helps],
        "effects": [asdict(effect) for effect in effects],
        "models": models,
        "options": options,
        "provenance": provenance(),
    }
    if cascade:
        record["cascade"] = cascade
    write_json(path, record)
    return path


@dataclass(frozen=True)
class Postprocessing:
    """What is done to labels after the networks.

    Attributes:
        largest_part: Organs of which only the largest part is kept.
        warnings: For the user, a sentence each.
    """

    largest_part: list[str]
    warnings: list[str]


NO_POSTPROCESSING = Postprocessing(largest_part=[], warnings=[])
"""Labels stay as the networks put them."""


def decided_for(
    decided: Mapping[str, Any] | None, fingerprints: Mapping[str, Sequence[str]], cascade: str = ""
) -> Postprocessing:
    """What was decided for a cascade.

    Args:
        decided: The decision of ``StoredCascade.postprocessing``; None without one.
        fingerprints: Hashes of the weights in use, by branch.
        cascade: The fingerprint of the manifest in use; empty where it is not compared.

    Returns:
        Nothing to do without a decision, or if it was taken for other weights, or other organs or thresholds of the
        same weights; then a warning says so.
    """
    if decided is None:
        return NO_POSTPROCESSING
    recorded = decided.get("cascade")
    if recorded and cascade and recorded != cascade:
        other = "another profile or other VOIs"
        warning = f"{POSTPROCESSING} was decided for {other} and is not applied; rerun soars-cross-validate"
        return Postprocessing(largest_part=[], warnings=[warning])
    for branch, hashes in fingerprints.items():
        if not set(hashes) <= set(decided["models"].get(branch, ())):
            warning = f"{POSTPROCESSING} was decided with other weights and is not applied; rerun soars-cross-validate"
            return Postprocessing(largest_part=[], warnings=[warning])
    return Postprocessing(largest_part=decided["largest_part"], warnings=[])
