"""Organs that a dataset draws in another form than the profile: halves of a whole, or the whole of halves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Derivation:
    """One whole and its two halves, of which the dataset has one form and the profile the other.

    Attributes:
        organs: TG-263 names of what is made: left and right half, or the whole.
        labels: Their values in the derived label maps.
        names: Names in the dataset of what they are made from: the whole, or left and right half.
        values: Its values in the dataset.
    """

    organs: tuple[str, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]
    values: tuple[int, ...]

    @property
    def is_split(self) -> bool:
        """Whether halves are made from a whole, at the patient's midline; otherwise a whole is the union of halves."""
        return len(self.names) == 1

    def __str__(self) -> str:
        made, source = " and ".join(self.organs), " and ".join(self.names)
        return f"{made} from {source}, {'divided at the midline' if self.is_split else 'united'}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Derivation:
        """Of parsed JSON."""
        return cls(
            organs=tuple(data["organs"]),
            labels=tuple(data["labels"]),
            names=tuple(data["names"]),
            values=tuple(data["values"]),
        )
