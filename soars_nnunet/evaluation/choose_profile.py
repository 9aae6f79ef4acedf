"""Which profile an evaluation goes by: the user's, the prediction's own, or the one that knows both sides' names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.label_files import LabelList, find_label_list, is_labels_part
from soars_nnunet.profile import Profile, available_profiles, load_profile

logger = logging.getLogger(__name__)

DEFAULT_PROFILE = "hn42"
"""Where no file says what its labels mean; and of several profiles that know as many names."""

MAX_SHOWN = 6
"""Names in a message."""


@dataclass(frozen=True)
class Side:
    """Prediction or reference.

    Attributes:
        what: Name in the messages.
        path: Folder or file of its labels.
        labels: What they mean, None where no file says so.
        is_named: Whether the user named the file that says so.
    """

    what: str
    path: Path
    labels: LabelList | None
    is_named: bool

    @property
    def profile(self) -> str | None:
        """Profile that its file states."""
        return None if self.labels is None else self.labels.profile


def choose_profile(
    given: str | None,
    prediction: Path,
    reference: Path,
    *,
    prediction_labels: Path | None = None,
    reference_labels: Path | None = None,
) -> Profile:
    """Profile by which predictions are scored.

    Args:
        given: Name or file that the user names; None for what the label files say.
        prediction: Folder or file.
        reference: Folder or file.
        prediction_labels: JSON that the user names for the prediction's labels, as in ``EvaluationOptions``.
        reference_labels: The same of the reference.

    Returns:
        The given one, else that of the prediction's dataset.json, else the reference's; else the shipped one that
        knows most names of both label lists. Without any list ``DEFAULT_PROFILE``, which a warning says.

    Raises:
        InputError: If the given one is another than the prediction's, if the prediction's does not ship, if only one
            side says what its labels mean, or if no profile knows a name of both.
    """
    sides = []
    for what, path, explicit, above in (
        ("prediction", prediction, prediction_labels, is_labels_part(prediction)),
        ("reference", reference, reference_labels, True),
    ):
        found = find_label_list(path, explicit, what, above)
        sides.append(Side(what, path, found, explicit is not None))
    if given is not None:
        profile = load_profile(given)
        _require_agreement(profile, sides[0])
        return profile
    stated = [side for side in sides if side.profile is not None]
    if stated:
        return _load_stated(stated[0])
    return _profile_of_lists(sides)


def _require_agreement(profile: Profile, side: Side) -> None:
    if side.profile in (None, profile.name) or side.is_named or side.labels is None:
        return
    raise InputError(
        f"--profile: expected {side.profile}, as {side.labels.file} says of the {side.what}, got {profile.name}, whose "
        f"other organs would count as missed; leave --profile out, or name the file with --{side.what}-labels"
    )


def _load_stated(side: Side) -> Profile:
    """Profile that a side's file states."""
    assert side.labels is not None and side.profile is not None
    known = ", ".join(available_profiles())
    if side.profile not in available_profiles():
        raise InputError(
            f"{side.labels.file}: expected one of the profiles {known}, got '{side.profile}'; give its JSON file with "
            "--profile"
        )
    logger.info("profile: %s, from %s", side.profile, side.labels.file)
    return load_profile(side.profile)


def _profile_of_lists(sides: Sequence[Side]) -> Profile:
    """Profile for label lists that state none."""
    without = [side for side in sides if side.labels is None]
    if len(without) == len(sides):
        logger.info("profile: %s, as no dataset.json says what the labels mean; see --profile", DEFAULT_PROFILE)
        return load_profile(DEFAULT_PROFILE)
    if without:
        side = without[0]
        raise InputError(
            f"{side.path}: expected a dataset.json that says what the {side.what}'s labels mean, as the other side has "
            f"one, found none; name one with --{side.what}-labels, or give --profile if they are that profile's own"
        )
    best, most = load_profile(DEFAULT_PROFILE), 0
    for name in (DEFAULT_PROFILE, *available_profiles()):
        profile = load_profile(name)
        known = len(_known(profile, sides[0]) & _known(profile, sides[1]))
        if known > most:
            best, most = profile, known
    if not most:
        raise InputError(
            f"expected organs that both sides name, got {_shown(sides[0])} of the {sides[0].what} and "
            f"{_shown(sides[1])} of the {sides[1].what}, of which no profile knows a common one; give --profile"
        )
    logger.info("profile: %s, which knows %d organs that both label lists name; see --profile", best.name, most)
    return best


def _known(profile: Profile, side: Side) -> set[str]:
    """Organs of a profile that a side names."""
    found = set()
    for name in side.labels.labels if side.labels else ():
        organ = profile.resolve(name)
        if organ is not None:
            found.add(organ.name)
    return found


def _shown(side: Side) -> str:
    names = [name for name, value in side.labels.labels.items() if value] if side.labels else []
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
