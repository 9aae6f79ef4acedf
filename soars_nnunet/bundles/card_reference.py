"""``docs/reference/model-card.md`` as text, made from the form of the card."""

from __future__ import annotations

from soars_nnunet.bundles.card_form import FormSection, card_form

INTRODUCTION = """\
# Model card

<!-- Written by scripts/write_reference.py from plans/card.json. Do not edit by hand. -->

Every [bundle](../how-to/hand-your-cascade-to-a-colleague.md) has a model card: `card.md` for people, and `card.json`
with the same content for programs. Its headings are those of AID-RT
([doi](https://doi.org/10.1016/j.phro.2026.100940)).

`soars-bundle make` fills what the training's files know. You state the rest in a JSON file for `--card`: a text, or a
list of texts, for any key below that has a default. What nobody states stands in the card as its default.

`card.json` holds `format` (`soars-card`), `format_version`, `name` and `sections`. Each section has a `title`,
`entries` (text by key) and `tables` (by key: `title`, `rows`, `notes`).
"""


def card_page() -> str:
    """The whole page, with the end of its last line."""
    return INTRODUCTION + "".join(_section(section) for section in card_form().sections)


def _section(section: FormSection) -> str:
    text = f"\n## {section.title}\n\nKey in the JSON: `{section.key}`.\n\n"
    text += "| key | label | meaning | default |\n|---|---|---|---|\n"
    for entry in section.entries:
        default = "(filled by the program)" if entry.default is None else entry.default
        text += f"| `{entry.key}` | {entry.label} | {entry.meaning} | {default} |\n"
    return text
