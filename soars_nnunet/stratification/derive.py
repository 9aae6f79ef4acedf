"""Derive organs of a case that the dataset draws in another form than the profile.

A whole is the union of its halves. Halves are made from a whole at the patient's midline. Where a case does not allow
it (one half alone is drawn, nothing tells where the midline is, or nearly all lies on one side) nothing is made: what
is not sure is left open, like an organ that nobody drew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.derived import Derivation
from soars_nnunet.images.midline import find_midline, lies_left
from soars_nnunet.profile import Profile

LEAST_SHARE = 0.1
"""A half that has less of the whole than this is none: the organ was drawn, or the scan cut, on one side alone. Halves
of whole mandibles of OpenKBP and of the DeepMind set have 0.46 and more."""


@dataclass
class DerivedFacts:
    """What deriving a case's organs gave.

    Attributes:
        not_made: Organs that could not be derived, though the dataset draws them in another form.
        notes: What is doubtful or could not be done, in words.
        planes_mm: By whole that was divided: the plane's normal to the patient's left (LPS) and its offset in mm.
    """

    not_made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    planes_mm: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class DerivedCase:
    """A case's labels with derived organs.

    Attributes:
        labels: (Z, Y, X) integers; the dataset's values, and those of derived organs in place of what they are made of.
        facts: What was made, what not, and what is doubtful.
    """

    labels: np.ndarray
    facts: DerivedFacts = field(default_factory=DerivedFacts)


def derive_case(
    image: sitk.Image,
    derivations: Sequence[Derivation],
    organs: Mapping[str, int],
    profile: Profile,
    *,
    empty_means_absent: bool,
) -> DerivedCase:
    """Derive the organs of one case.

    Args:
        image: Label map of the case.
        derivations: What is to be made.
        organs: Label by TG-263 name, of organs that the dataset has and of derived ones.
        profile: Pairs and midline organs, which tell where the midline is.
        empty_means_absent: A half without a voxel is not in the patient, so that the other is the whole.
    """
    done = DerivedCase(sitk.GetArrayFromImage(image))
    made: set[str] = set()
    for derivation in derivations:
        made.update(derivation.organs)
    drawn = {name: label for name, label in organs.items() if name not in made}
    for derivation in derivations:
        if np.isin(done.labels, derivation.labels).any():
            continue  # drawn as the profile has it
        if derivation.is_split:
            _divide(done, image, derivation, drawn, profile=profile)
        else:
            _unite(done, derivation, empty_means_absent)
    return done


def _unite(done: DerivedCase, derivation: Derivation, empty_means_absent: bool) -> None:
    masks = [done.labels == value for value in derivation.values]
    lacking = [name for name, mask in zip(derivation.names, masks, strict=True) if not mask.any()]
    if len(lacking) == 1 and not empty_means_absent:
        done.facts.not_made += derivation.organs
        done.facts.notes.append(f"{derivation.organs[0]} not made: {lacking[0]} has no voxel")
        return
    done.labels[masks[0] | masks[1]] = derivation.labels[0]


def _divide(
    done: DerivedCase, image: sitk.Image, derivation: Derivation, drawn: Mapping[str, int], *, profile: Profile
) -> None:
    whole = done.labels == derivation.values[0]
    if not whole.any():
        return
    name = derivation.names[0]
    midline = find_midline(done.labels, image, drawn, profile, whole=derivation.values[0])
    if midline is None:
        done.facts.not_made += derivation.organs
        done.facts.notes.append(f"{name} not divided: no other organ tells where the midline is")
        return
    if midline.is_doubtful:
        done.facts.not_made += derivation.organs
        done.facts.notes.append(
            f"{name} not divided: the organs that tell where the midline is differ by {midline.spread_mm:.0f} mm"
        )
        return
    is_left = lies_left(whole, image, midline)
    share = float(is_left.mean())
    if min(share, 1 - share) < LEAST_SHARE:
        done.facts.not_made += derivation.organs
        done.facts.notes.append(f"{name} not divided: {share:.0%} of it lies left of the midline")
        return
    done.labels[whole] = np.where(is_left, *derivation.labels)
    done.facts.planes_mm[name] = [*midline.normal.tolist(), midline.offset_mm]
