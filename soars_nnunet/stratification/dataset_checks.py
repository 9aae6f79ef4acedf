"""Whether a raw dataset is what its dataset.json says: one CT channel, and the same cases in all places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soars_nnunet.cascade.dataset_listing import CaseFiles, list_dataset, shortened
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.errors import InputError
from soars_nnunet.images.listing import FILE_ENDINGS
from soars_nnunet.progress import Progress

CT_NAME = re.compile(r"ct|tomogra|hounsfield|\bhu\b")
"""In the name of a CT channel, in small letters."""


@dataclass(frozen=True)
class AgreedCases:
    """Cases of a dataset.

    Attributes:
        cases: Files of the complete ones, by name.
        left_out: Why, by file that belongs to none of them.
    """

    cases: dict[str, CaseFiles]
    left_out: dict[str, str]

    @property
    def names(self) -> set[str]:
        """Names that the user may speak of: of complete cases, and of what was left out."""
        names = set(self.cases)
        for entry in self.left_out:
            file = entry.rpartition("/")[2]
            stem = file.partition(".")[0]
            names.update((entry, file, stem, stem.removesuffix("_0000")))
        return names


def agreed_cases(source: str, dataset_json: Mapping[str, Any], *, leave_out: bool, say: Progress) -> AgreedCases:
    """Complete cases of a dataset whose dataset.json, imagesTr and labelsTr agree.

    Args:
        source: Name of the dataset.
        dataset_json: Its dataset.json.
        leave_out: Go on without what belongs to no complete case.
        say: Receives a line on what is left out, and on files that dataset.json's list does not name.

    Raises:
        InputError: If there is no complete case, or something is left over; with counts and names.
    """
    listing = list_dataset(raw_folder() / source, dataset_json)
    difference = listing.describe(dataset_json.get("numTraining"))
    if not listing.cases:
        raise InputError(
            f"{source}: expected a CT and a label map per case, got {difference or 'no cases'}; complete the dataset"
        )
    if difference and not leave_out:
        raise InputError(
            f"{source}: expected dataset.json, imagesTr and labelsTr to agree on the cases, got {difference}; mend the "
            "dataset, or go on without what is left over: --leave-out"
        )
    if difference:
        say(f"warning: {source}: left out: {difference}")
    if listing.unlisted:
        say(
            f"warning: {source}: {len(listing.unlisted)} file(s) that dataset.json's 'dataset' does not list are not "
            f"used: {shortened(listing.unlisted)}"
        )
    left_out = {}
    for kind, names in listing.left_over.items():
        for name in names:
            left_out[name] = kind
    return AgreedCases(listing.cases, left_out)


def require_known_ending(source: str, ending: str) -> None:
    """Check that files of an ending can be read.

    Raises:
        InputError: If not.
    """
    if ending.lower() not in FILE_ENDINGS:
        raise InputError(
            f"{source}: expected one of {', '.join(FILE_ENDINGS)} as file_ending in dataset.json, got '{ending}'; "
            "convert the images"
        )


def require_ct_channel(source: str, channel_names: Mapping[str, Any], say: Progress) -> None:
    """Check that a dataset has one channel, and say so where its name is not a CT's.

    Args:
        source: Name of the dataset.
        channel_names: Of its dataset.json.
        say: Receives a line where the name does not tell.

    Raises:
        InputError: If there are several.
    """
    if len(channel_names) != 1:
        raise InputError(f"{source}: expected one channel (CT), got {channel_names}; stratify a CT-only dataset")
    (name,) = channel_names.values()
    text = str(name).casefold()
    if CT_NAME.search(text):
        return
    say(f"warning: {source}: channel '{name}' is taken for a CT")
