"""The reference page of all commands, made from their parsers."""

from __future__ import annotations

import argparse
from importlib import import_module

from soars_nnunet.cli.command import make_parser
from soars_nnunet.cli.commands import COMMANDS, FRONT_DOOR, Command
from soars_nnunet.cli.spelling import spelling_of

HEAD = f"""\
# Commands

<!-- Written by scripts/write_reference.py from the options in soars_nnunet/cli. Do not edit by hand. -->

`{FRONT_DOOR}` lists all commands. `{FRONT_DOOR} COMMAND ...` runs one of them. Most commands also have a console
script of their own, `soars-COMMAND`. Every command explains itself with `--help`. `{FRONT_DOOR} --version` prints the
version.

| exit code | means |
|---|---|
| 0 | done |
| 2 | input or options were refused; one line on stderr says what was expected, what was found and what to do |
| 129, 130, 143 | ended by a closed terminal, Ctrl-C or `kill`; finished files are kept, temporary ones are not |
| 141 | nobody reads the output any more, as after `\\| head`; finished files are kept |

| command | does |
|---|---|
"""


def commands_page() -> str:
    """Markdown of ``docs/reference/commands.md``: the same text for the same options."""
    overview = ""
    sections = ""
    for command in COMMANDS.values():
        overview += f"| [`{command.program}`](#{_anchor(command.program)}) | {_cell(command.summary)} |\n"
        sections += _section(command)
    return HEAD + overview + sections


def _anchor(title: str) -> str:
    """Anchor that Markdown renderers give a heading."""
    return title.replace(" ", "-")


def _section(command: Command) -> str:
    """Heading, description, example and options of one command."""
    parser = make_parser(command, import_module(command.import_path).add_arguments)
    details = command.details.replace("\n", " ")
    text = f"\n## {command.program}\n\n{command.summary} {details}\n\n```bash\n{command.example}\n```\n"
    text += _table(parser)
    for own in actions_of(parser).values():
        description = (own.description or "").splitlines()
        example, summary = description[1].strip(), description[-1]
        text += f"\n### {own.prog}\n\n{summary}\n\n```bash\n{example}\n```\n{_table(own)}"
    return text


def actions_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Parsers of a command's actions by name; empty for most commands, which have none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _table(parser: argparse.ArgumentParser) -> str:
    """Table of the options; empty without any."""
    rows = _rows(parser)
    return f"\n| option | meaning |\n|---|---|\n{rows}" if rows else ""


def _rows(parser: argparse.ArgumentParser) -> str:
    """A line of a Markdown table for each option, but for ``--help`` and hidden ones."""
    rows = ""
    for action in parser._actions:
        if action.dest == "help" or action.help is argparse.SUPPRESS:
            continue
        typed = ", ".join(f"`{_cell(text)}`" for text in _spellings(action))
        meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
        if action.required:
            meaning += " (required)"
        rows += f"| {typed} | {_cell(meaning)} |\n"
    return rows


def _spellings(action: argparse.Action) -> list[str]:
    """The option in every spelling; only the last one shows the value."""
    if not action.option_strings:
        return [spelling_of(action)]
    *others, last = action.option_strings
    return [*others, spelling_of(action, last)]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
