"""The form of a card, from ``plans/card.json``: its headings, its entries, and which of them authors may state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from soars_nnunet.bundles.card import CardEntry, CardSection, CardTable, Text
from soars_nnunet.cascade.storage import read_user_json
from soars_nnunet.errors import InputError

NOT_STATED = "not stated"

MAX_TEXT = 4000
"""Characters of one text of the authors: a card is read, not studied."""


@dataclass(frozen=True)
class FormEntry:
    """An entry of the form.

    Attributes:
        key: In JSON.
        label: In Markdown.
        meaning: What is to be written there.
        default: What stands there if the authors state nothing; None where the program fills it, not the authors.
    """

    key: str
    label: str
    meaning: str
    default: str | None


@dataclass(frozen=True)
class FormSection:
    """A heading of the form.

    Attributes:
        key: In JSON.
        title: In Markdown.
        entries: In order.
    """

    key: str
    title: str
    entries: tuple[FormEntry, ...]


@dataclass(frozen=True)
class Form:
    """The form of a card.

    Attributes:
        template: Where its headings come from.
        sections: Six, in order.
    """

    template: str
    sections: tuple[FormSection, ...]

    def stated_by_authors(self) -> list[FormEntry]:
        """Entries that authors may state, in order."""
        found = []
        for section in self.sections:
            for entry in section.entries:
                if entry.default is not None:
                    found.append(entry)
        return found

    def fill(
        self, made: Mapping[str, Text], stated: Mapping[str, Text], tables: Mapping[str, tuple[CardTable, ...]]
    ) -> tuple[CardSection, ...]:
        """Sections of a card.

        Args:
            made: Texts of the entries that the program fills; one that is missing is left out of the card.
            stated: Texts of the authors.
            tables: By section.
        """
        sections = []
        for section in self.sections:
            entries = []
            for entry in section.entries:
                text = made.get(entry.key) if entry.default is None else stated.get(entry.key, entry.default)
                if text:
                    entries.append(CardEntry(entry.key, entry.label, text))
            filled = CardSection(section.key, section.title, tuple(entries), tables.get(section.key, ()))
            sections.append(filled)
        return tuple(sections)


@cache
def card_form() -> Form:
    """The form that the package ships."""
    data = json.loads((resources.files("soars_nnunet.plans") / "card.json").read_text(encoding="utf-8"))
    sections = []
    for section in data["sections"]:
        entries = []
        for entry in section["entries"]:
            entries.append(FormEntry(entry["key"], entry["label"], entry["meaning"], entry.get("default")))
        sections.append(FormSection(section["key"], section["title"], tuple(entries)))
    return Form(data["template"], tuple(sections))


def read_stated(path: Path) -> dict[str, Text]:
    """What authors state of their model.

    Args:
        path: JSON object: a text, or a list of texts, by key of ``card_form().stated_by_authors()``.

    Raises:
        InputError: If the file is absent, no JSON, or holds something else; all faults are named at once.
    """
    data = read_user_json(path)
    if not isinstance(data, dict):
        raise InputError(f'{path}: expected {{"KEY": "text", ...}}, got a JSON {type(data).__name__}')
    keys = [entry.key for entry in card_form().stated_by_authors()]
    unknown = [key for key in data if key not in keys]
    if unknown:
        raise InputError(f"{path}: expected keys of {', '.join(keys)}; got also {', '.join(unknown)}")
    stated: dict[str, Text] = {}
    wrong = []
    for key, value in data.items():
        text = _text(value)
        if text is None:
            wrong.append(key)
        else:
            stated[key] = text
    if wrong:
        raise InputError(
            f"{path}: expected a text or a list of texts of up to {MAX_TEXT} printable characters, "
            f"got something else at {', '.join(wrong)}"
        )
    return stated


def _text(value: Any) -> Text | None:
    """A text or a list of texts; None for anything else."""
    if isinstance(value, str):
        return value if _is_text(value) else None
    if not isinstance(value, list) or not value or not all(_is_text(one) for one in value):
        return None
    return tuple(value)


def _is_text(value: Any) -> bool:
    """Whether it is a text of some words, without signs that a terminal acts on."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        return False
    return all(sign.isprintable() or sign in "\n\t" for sign in value)
