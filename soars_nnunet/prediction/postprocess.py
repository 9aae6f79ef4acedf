"""Post-processing decided out of fold: organs of which only the largest part is kept (``keep_largest_parts``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soars_nnunet.cascade.record import POSTPROCESSING
from soars_nnunet.cascade.storage import provenance, read_json, write_json
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


def component_dices(
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    profile: Profile,
    labels: dict[str, int],
) -> dict[str, tuple[float, float]]:
    """Dice coefficients of one case as predicted and with each organ's largest part alone.

    As ``score_case`` scores them: an organ with ``composite`` as the union of those organs.

    Args:
        predicted: (Z, Y, X) in the profile's labels.
        reference: (Z, Y, X) in the source dataset's labels, on the same grid.
        spacing_mm: (Z, Y, X).
        profile: Organs.
        labels: Source dataset's label by organ.

    Returns:
        Both by organ that the reference has; empty if it has none.
    """
    found: dict[str, tuple[float, float]] = {}
    cleaned = keep_largest_parts(predicted, [organ.label for organ in profile.organs], spacing_mm)
    for name, value in labels.items():
        if not (reference == value).any():
            continue
        organ = profile.by_name[name]
        parts = organ.composite or (name,)
        mask = np.isin(reference, [labels[part] for part in parts if part in labels])
        others = np.isin(predicted, [profile.by_name[part].label for part in parts if part != name])
        before, after = (others | (volume == organ.label) for volume in (predicted, cleaned))
        found[name] = (dice(before, mask), dice(after, mask))
    return found


def format_effects(effects: list[ComponentEffect]) -> list[str]:
    """One line an organ whose Dice the largest part changes, and what is decided; empty without any."""
    return [
        f"{effect.organ}: DSC {effect.dsc:.4f} -> {effect.dsc_largest:.4f} over {effect.n} cases; "
        f"{'kept' if effect.helps else 'not applied'}"
        for effect in effects
        if effect.dsc != effect.dsc_largest
    ]


def write_postprocessing(
    manifest: Path, effects: list[ComponentEffect], models: dict[str, list[str]], options: dict[str, Any]
) -> Path:
    """Record which organs are reduced to their largest part, for prediction to find.

    Args:
        manifest: Of the cascade; the record lies beside it.
        effects: Out-of-fold effect by organ.
        models: Hashes of the weights that the effects were measured with, by branch.
        options: How the cases were predicted, for the record: the decision holds however later ones are.
    """
    path = manifest.with_name(POSTPROCESSING)
    chosen = [effect.organ for effect in effects if effect.helps]
    effects_json = [asdict(effect) for effect in effects]
    record = {"largest_part": chosen, "effects": effects_json, "models": models, "options": options}
    write_json(path, {**record, "provenance": provenance()})
    return path


def load_postprocessing(manifest: Path, fingerprints: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Organs whose largest part alone is kept, and warnings.

    Args:
        manifest: Of the cascade; the decision lies beside it, if there is one.
        fingerprints: Hashes of the weights in use, by branch.

    Returns:
        Organ names, none without a decision or if it was taken for other weights; then a warning says so.
    """
    path = manifest.with_name(POSTPROCESSING)
    if not path.is_file():
        return [], []
    decided = read_json(path)
    if any(not set(hashes) <= set(decided["models"].get(branch, ())) for branch, hashes in fingerprints.items()):
        return [], [f"{path.name} was decided with other weights and is not applied; rerun soars-cross-validate"]
    return decided["largest_part"], []
