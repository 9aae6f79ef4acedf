"""Write the pages of docs/reference that are made from code: run it after a change of an option or a setting."""

from __future__ import annotations

from pathlib import Path

from soars_nnunet.bundles.card_reference import card_page
from soars_nnunet.cli.profiles_reference import profiles_page
from soars_nnunet.cli.reference import commands_page
from soars_nnunet.settings.reference import settings_markdown

FOLDER = Path(__file__).parents[1] / "docs" / "reference"

PAGES = {
    "commands.md": commands_page,
    "settings.md": settings_markdown,
    "model-card.md": card_page,
    "profiles.md": profiles_page,
}
"""What makes each page."""


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make_page in PAGES.items():
        (FOLDER / name).write_text(make_page(), encoding="utf-8")
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
