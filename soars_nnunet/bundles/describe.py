"""A bundle in a line of text."""

from __future__ import annotations

from soars_nnunet.bundles.bundle import Bundle

MANY_ORGANS = 10
"""So many are named; of more, the number is said."""


def organs_of(bundle: Bundle) -> list[str]:
    """Names of the organs that a bundle segments, in the profile's order."""
    segmented: set[str] = set()
    for key, branch in bundle.manifest.branches.items():
        if key != "detection":
            segmented.update(branch.classes)
    return [organ.name for organ in bundle.manifest.profile.organs if organ.name in segmented]


def describe(bundle: Bundle) -> str:
    """Organs, data and licence: what a user must know before he uses its labels."""
    organs = organs_of(bundle)
    named = f" ({', '.join(organs)})" if len(organs) <= MANY_ORGANS else ""
    about = bundle.described.about
    return f"{len(organs)} organ(s){named}; trained on {about.trained_on}; licence {about.license}"
