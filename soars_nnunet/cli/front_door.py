"""``soars-nnunet``: lists all commands and runs any of them; loads no more than the one that it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from soars_nnunet import __version__
from soars_nnunet.cli.commands import COMMANDS, FRONT_DOOR
from soars_nnunet.errors import did_you_mean


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``soars-nnunet``.

    Args:
        argv: Arguments; None for those of the process. The first names a command, the others are the command's.

    Returns:
        Exit code: the command's own, or 2 for an unknown command.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"{FRONT_DOOR} {__version__}")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        known = ", ".join(COMMANDS)
        question = did_you_mean(words[0], COMMANDS)
        see = f"see {FRONT_DOOR} --help"
        print(f"error: expected a command ({known}), got '{words[0]}'; {see}{question}", file=sys.stderr)
        return 2
    module = import_module(command.import_path)
    return module.main(words[1:])


def overview() -> str:
    """The list of commands, as ``--help`` prints it."""
    width = max(len(name) for name in COMMANDS)
    lines = [
        f"usage: {FRONT_DOOR} [--version] [--help] COMMAND ...",
        "",
        "example:",
        f"  {FRONT_DOOR} stratify -d 7 -p hn42",
        "",
        "commands, in the order of use:",
    ]
    for command in COMMANDS.values():
        lines.append(f"  {command.name:<{width}}  {command.summary}")
    lines += [
        "",
        "After each plan the networks are trained with nnUNetv2_train; soars-plan says how.",
        f"'{FRONT_DOOR} COMMAND --help' explains a command. soars-COMMAND is the same, but for info.",
    ]
    return "\n".join(lines)
