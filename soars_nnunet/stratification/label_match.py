"""Which organs of a profile the labels of a dataset mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from soars_nnunet.cascade.classes import IGNORE
from soars_nnunet.cascade.derived import Derivation
from soars_nnunet.errors import InputError
from soars_nnunet.images.label_map import MAX_LABEL
from soars_nnunet.naming.halves import form_of
from soars_nnunet.profile import Organ, Profile
from soars_nnunet.stratification.label_faults import BACKGROUND, label_faults

NO_ORGANS = (BACKGROUND, IGNORE)
"""Names of nnU-Net's own."""


@dataclass(frozen=True)
class LabelMatch:
    """A dataset's labels seen from a profile.

    Attributes:
        labels: The dataset's label by TG-263 name.
        unknown: Dataset organs that the profile does not know.
        absent: Profile organs that the dataset does not name.
        read_as: Organ by name in the dataset, of names that the profile does not list but that are read.
        doubtful: Organ by name in the dataset, of names that are read as an organ that another name means, too;
            they are not used, and are among ``unknown``.
        derived: Organs that the dataset draws in another form, as a whole or as halves; among ``labels``, too.
        ignore: Label of voxels that nobody judged; None where the dataset has none.
        listed: Every label that dataset.json lists, and 0.
    """

    labels: dict[str, int]
    unknown: list[str]
    absent: list[str]
    read_as: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    derived: tuple[Derivation, ...] = ()
    ignore: int | None = None
    listed: frozenset[int] = frozenset({0})


def match_labels(labels: Mapping[str, Any], profile: Profile, aliases: Mapping[str, str] | None = None) -> LabelMatch:
    """Find the profile's organs among the labels of a dataset.json.

    Names that the profile lists go before names that are read.

    Args:
        labels: Label by name.
        profile: The organs, with the user's aliases among theirs.
        aliases: What the user said of names that mean the whole or half of an organ.

    Raises:
        InputError: Naming every label that ``label_faults`` knows, or if two listed names mean one organ.
    """
    faults = label_faults(labels)
    if faults:
        raise InputError(
            f"dataset.json, labels: expected one whole number of 0 to {MAX_LABEL} for each name, and another for every "
            f"name, with background 0; got {'; '.join(faults)}; correct the list"
        )
    ignore = None
    found: dict[str, int] = {}
    unlisted: dict[str, int] = {}
    for name, value in labels.items():
        if name == BACKGROUND:
            continue
        if name.casefold() == IGNORE:  # nnU-Net's own spelling is in small letters
            ignore = value
            continue
        organ = profile.resolve_listed(name)
        if organ is None:
            unlisted[name] = value
        else:
            _enter(found, name, organ, value)
    read_as, doubtful = _read(unlisted, profile, found)
    for name, organ_name in read_as.items():
        _enter(found, name, profile.by_name[organ_name], unlisted[name])
    others = {name: value for name, value in unlisted.items() if name not in {**read_as, **doubtful}}
    forms = {name: form_of((aliases or {}).get(name, name), profile.halves) for name in others}
    derived = _derive(others, forms, profile, found, first=_first_free(labels.values()))
    used = set(read_as)
    for derivation in derived:
        found.update(zip(derivation.organs, derivation.labels, strict=True))
        used.update(derivation.names)
    unknown = [name for name in unlisted if name not in used]
    absent = [organ.name for organ in profile.organs if organ.name not in found]
    return LabelMatch(found, unknown, absent, read_as, doubtful, derived, ignore, frozenset({0, *labels.values()}))


def _derive(
    others: Mapping[str, int],
    forms: Mapping[str, str | None],
    profile: Profile,
    found: Mapping[str, int],
    *,
    first: int,
) -> tuple[Derivation, ...]:
    """Organs that can be made of labels that mean no organ, but a whole or half of one.

    Args:
        others: Label by name in the dataset, of such names.
        forms: The whole or half that each of them means, or None.
        profile: Says which organs have halves.
        found: Label of organs that the dataset has; of these the other form counts where they have no voxel.
        first: Lowest label that no voxel has.
    """
    names: dict[str | None, list[str]] = {}
    for name in others:
        names.setdefault(forms[name], []).append(name)
    derived: list[Derivation] = []
    for whole, halves in profile.halves.items():
        organs, sources = ((whole,), halves) if whole in profile.by_name else (halves, (whole,))
        spelled = [names.get(source, []) for source in sources]
        is_half_there = 0 < sum(organ in found for organ in organs) < len(organs)
        if is_half_there or any(len(once) != 1 for once in spelled):
            continue
        chosen = tuple(once[0] for once in spelled)
        labels = tuple(found.get(organ, first + place) for place, organ in enumerate(organs))
        first += len(organs)
        derived.append(Derivation(organs, labels, chosen, tuple(others[name] for name in chosen)))
    return tuple(derived)


def _first_free(values: Iterable[Any]) -> int:
    """Above all labels of a dataset."""
    return 1 + max((value for value in values if isinstance(value, int)), default=0)


def _enter(found: dict[str, int], name: str, organ: Organ, value: int) -> None:
    """Enter an organ's label.

    Raises:
        InputError: If the organ or the label is there already.
    """
    if organ.name in found or value in found.values():
        raise InputError(
            f"dataset.json: two organs with one label, or two labels for one organ, at '{name}' "
            f"({organ.name}, label {value}); give each organ one name and one number"
        )
    found[organ.name] = value


def _read(names: Iterable[str], profile: Profile, found: Mapping[str, int]) -> tuple[dict[str, str], dict[str, str]]:
    """Organ by name, of names that are read: those whose organ no other name means, and the others."""
    by_name = {}
    for name in names:
        organ = profile.resolve(name)
        if organ:
            by_name[name] = organ.name
    count = Counter([*by_name.values(), *found])
    read_as = {name: organ for name, organ in by_name.items() if count[organ] == 1}
    doubtful = {name: organ for name, organ in by_name.items() if count[organ] > 1}
    return read_as, doubtful
