"""How clinics spell organs: one reading of a contour's name, as an organ and a side.

A name is cut into words; side words are read wherever they stand, and what is left must be a known spelling as a
whole. One word too many (``PTV_Parotid_L``, ``Parotid_L_PRV3``) and the name is not read, so that nothing has to be
known of planning structures. The words are data in ``plans/organ_names.json``. This module imports neither torch nor
nnU-Net.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

SEPARATORS = re.compile(r"[\s_\-.,:;/()\[\]'’]+")
"""Between words. Other signs mean something: ``+3mm`` a margin, ``~`` a part, ``^`` and ``!`` a remark (TG-263)."""

WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
"""``OpticNrvL`` and ``LTParotid`` have words, too."""

LIST_NUMBER = re.compile(r"0\d+")
"""First word of names that a program numbered: ``01_Brainstem``."""

NEAR = 0.8
"""Share of letters that a guess has in common with a name: one or two mistakes a word."""

LETTERS = str.maketrans({"œ": "oe", "Œ": "Oe", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ß": "ss"})
"""Letters that have no accent to drop."""


@dataclass(frozen=True)
class OrganName:
    """What a contour's name says.

    Attributes:
        organ: TG-263 name without its side; the words of the name, joined, where the table does not know them.
        side: ``"L"``, ``"R"``, or None where the name has no side word.
        is_known: Whether the table knows the spelling.
    """

    organ: str
    side: str | None
    is_known: bool


@dataclass(frozen=True)
class _Spellings:
    """``plans/organ_names.json``, indexed.

    Attributes:
        organs: TG-263 name without side by key, see ``_keys``.
        sides: Side by word.
        glued: Side by word that may stand before or behind an organ without a separator.
        passed_over: Words that say nothing.
        never: Words with which a name is not read: plurals and adjectives that look like an organ and a letter.
        planning: Words of planning structures.
    """

    organs: Mapping[str, str]
    sides: Mapping[str, str]
    glued: Mapping[str, str]
    passed_over: frozenset[str]
    never: frozenset[str]
    planning: frozenset[str]


def read_name(name: str) -> OrganName | None:
    """Organ and side that a name means.

    Returns:
        The reading; None where the name has signs beside letters, digits and separators, names both sides, or has no
        word but side words.
    """
    table = _spellings()
    words = split_words(name)
    if words is None:
        return None
    sides = {table.sides[word] for word in words if word in table.sides}
    left = [word for word in words if word not in table.sides]
    if len(sides) > 1 or not left:
        return None
    side = next(iter(sides), None)
    if table.never.isdisjoint(left):
        organ = _find(left, table)
        if organ:
            return OrganName(organ, side, is_known=True)
        glued = _find_glued("".join(left), table)
        if glued and side in (None, glued.side):
            return glued
    return OrganName("".join(_telling(left, table) or left), side, is_known=False)


def split_words(name: str) -> list[str] | None:
    """Words of a name in lower case without accents; None where it has other signs than separators between them."""
    plain = unicodedata.normalize("NFKD", name.translate(LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words: list[str] = []
    for part in filter(None, SEPARATORS.split(plain)):
        found = WORD.findall(part)
        if "".join(found) != part:
            return None
        words += [word.lower() for word in found]
    if words and LIST_NUMBER.fullmatch(words[0]):
        del words[0]
    return words


def is_planning(name: str) -> bool:
    """Whether a name that is not read looks like a planning structure (target, margin, ring, dose): nothing to mend."""
    words = split_words(name)
    if words is None:
        return True
    table = _spellings()
    return any(word in table.planning or word.isdigit() for word in words)


def guess_name(name: str) -> OrganName | None:
    """What a name that is not read may have meant, by the nearest spelling.

    Returns:
        A reading that nobody should act on without asking; None for planning structures, for names of both sides, and
        where no spelling is near.
    """
    reading = read_name(name)
    if reading is None or reading.is_known or is_planning(name):
        return reading if reading and reading.is_known else None
    organs = _spellings().organs
    near = difflib.get_close_matches(reading.organ, organs, n=1, cutoff=NEAR)
    return OrganName(organs[near[0]], reading.side, is_known=False) if near else None


def _find(words: list[str], table: _Spellings) -> str | None:
    """Organ that words mean, all of them or those that say something; None where the table does not have them."""
    for chosen in (words, _telling(words, table)):
        for key in _keys(chosen):
            if key in table.organs:
                return table.organs[key]
    return None


def _telling(words: Iterable[str], table: _Spellings) -> list[str]:
    return [word for word in words if word not in table.passed_over]


def _keys(words: list[str]) -> tuple[str, str]:
    """By which words are found: joined as they stand, and in alphabetical order."""
    return "".join(words), " ".join(sorted(words))


def _find_glued(text: str, table: _Spellings) -> OrganName | None:
    """Organ and side of ``lparotid``, ``parotidright`` or ``smgl``; None otherwise."""
    for word, side in table.glued.items():
        for stem in (text.removeprefix(word), text.removesuffix(word)):
            if stem != text and stem in table.organs:
                return OrganName(table.organs[stem], side, is_known=True)
    return None


@lru_cache(maxsize=1)
def _spellings() -> _Spellings:
    path = resources.files("soars_nnunet.plans") / "organ_names.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    passed_over = frozenset(itertools.chain.from_iterable(data["passed_over"].values()))
    organs: dict[str, str] = {}
    for organ, spellings in data["spellings"].items():
        for spelling in (organ.replace("_", " "), *itertools.chain.from_iterable(map(_variants, spellings))):
            _enter(organs, spelling, organ, passed_over)
    return _Spellings(
        organs=organs,
        sides=_by_word(data["sides"]),
        glued=_by_word(data["glued_sides"]),
        passed_over=passed_over,
        never=frozenset(data["never"]),
        planning=frozenset(data["planning"]),
    )


def _enter(organs: dict[str, str], spelling: str, organ: str, passed_over: frozenset[str]) -> None:
    """Enter a spelling under all of its keys.

    Raises:
        ValueError: If it is another organ's already: the table contradicts itself.
    """
    words = split_words(spelling) or []
    telling = [word for word in words if word not in passed_over]
    for key in {*_keys(words), *_keys(telling)} - {""}:
        other = organs.setdefault(key, organ)
        if other != organ:
            raise ValueError(f"organ_names.json: '{spelling}' means both {other} and {organ}")


def _variants(spelling: str) -> list[str]:
    """What a spelling with ``{a|b}`` stands for; ``{|a}`` is a or nothing."""
    parts = []
    for part in re.split(r"(\{[^}]*\})", spelling):
        parts.append(part[1:-1].split("|") if part.startswith("{") else [part])
    return [" ".join(chosen) for chosen in itertools.product(*parts)]


def _by_word(words_by_side: Mapping[str, Iterable[str]]) -> dict[str, str]:
    sides = {}
    for side, words in words_by_side.items():
        sides.update(dict.fromkeys(words, side))
    return sides
