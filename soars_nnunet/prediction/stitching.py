"""One label volume from what the networks found, without ever holding all classes at the image's size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.geometry.components import keep_largest_parts
from soars_nnunet.geometry.stitch import Candidate, merge_tiers, tier_argmax
from soars_nnunet.prediction.inferred import Inference
from soars_nnunet.profile import Profile


@dataclass(frozen=True)
class Stitched:
    """The label volume of a CT.

    Attributes:
        labels: (Z, Y, X) uint8 in the profile's labels, in the networks' frame.
        tiers: What the anchor and mid-level tiers proposed for it.
    """

    labels: torch.Tensor
    tiers: dict[str, Candidate]


def stitch(inference: Inference, manifest: Manifest, organs: Sequence[str], largest_part: Sequence[str]) -> Stitched:
    """Merge tiers and VOIs where their results lie.

    Args:
        inference: What the networks found.
        manifest: Of the cascade.
        organs: Names of the wanted ones; others keep their claims while tiers are merged, and are removed then.
        largest_part: Names of the wanted organs of which only the largest part is kept.
    """
    profile = manifest.profile
    device = _common_device(inference)
    tiers = _tier_candidates(inference, manifest)
    candidates = chain(tiers.values(), _voi_candidates(inference, manifest))
    merged = merge_tiers(inference.shape, candidates, precedence_by_label(profile), device)
    if largest_part:
        chosen = [profile.by_name[name].label for name in largest_part]
        parts = keep_largest_parts(merged.cpu().numpy(), chosen, inference.properties["spacing"])
        merged = torch.from_numpy(parts).to(device)
    unwanted = [organ.label for organ in profile.organs if organ.name not in organs]
    if unwanted:
        _remove(merged, unwanted)
    return Stitched(merged, tiers)


def precedence_by_label(profile: Profile) -> np.ndarray:
    """Precedence by final label, background 0 first."""
    precedence = [0]
    for organ in sorted(profile.organs, key=lambda organ: organ.label):
        precedence.append(organ.precedence)
    return np.array(precedence)


def _common_device(inference: Inference) -> torch.device:
    """Where all tiers' results lie; the CPU if some did not fit elsewhere."""
    devices = {softmax.values.device for softmax in inference.tiers.values()}
    return devices.pop() if len(devices) == 1 else torch.device("cpu")


def _tier_candidates(inference: Inference, manifest: Manifest) -> dict[str, Candidate]:
    """What each tier proposes for the whole image, in final labels."""
    by_name = manifest.profile.by_name
    candidates = {}
    for key, softmax in inference.tiers.items():
        final_labels = [0]
        for name in manifest.branches[key].classes:
            final_labels.append(by_name[name].label)
        candidates[key] = tier_argmax(softmax.values, softmax.grid).to_candidate(final_labels)
    return candidates


def _voi_candidates(inference: Inference, manifest: Manifest) -> Iterator[Candidate]:
    """What each VOI proposes for its box, in final labels: only its own target's organs; one at a time is held."""
    by_name = manifest.profile.by_name
    for voi in inference.vois:
        final_labels = [0]
        for name in manifest.branches["small_hard"].classes:
            organ = by_name[name]
            final_labels.append(organ.label if organ.target == voi.target else 0)
        (z, _), (y, _), (x, _) = voi.box
        result = tier_argmax(voi.softmax.values, voi.softmax.grid)
        yield result.to_candidate(final_labels, (z, y, x))


def _remove(labels: torch.Tensor, unwanted: Iterable[int]) -> None:
    """Set labels (Z, Y, X) to background in place, plane by plane: a mask of the whole takes as much again."""
    dropped = torch.tensor(list(unwanted), dtype=torch.uint8, device=labels.device)
    for plane in labels:
        plane[torch.isin(plane, dropped)] = 0
