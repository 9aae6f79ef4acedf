import os
import subprocess
import sys
import time

import pytest

from soars_nnunet import __version__
from soars_nnunet.cli import front_door
from soars_nnunet.cli.commands import COMMANDS

HEAVY = ("torch", "nnunetv2", "SimpleITK")
INSTANT_S = 5.0
"""About 0.15 s in fact; torch alone would take more than this on a busy machine."""

PROBE = """
import sys
from soars_nnunet.cli.front_door import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
loaded = [name for name in {heavy} if name in sys.modules]
assert not loaded, loaded
sys.exit(code)
"""


def fresh(*words):
    """Run the front door in a new process, which fails if it loads a heavy package."""
    environment = {key: value for key, value in os.environ.items() if key != "nnUNet_results"}
    command = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_all_commands_are_listed(capsys, words):
    assert front_door.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("usage: soars-nnunet") and lines[2] == "example:"
    assert lines[3].startswith("  soars-nnunet ")
    listed = [line.split(maxsplit=1) for line in lines if line.startswith("  ")][1:]
    assert listed == [[command.name, command.summary] for command in COMMANDS.values()]


def test_version(capsys):
    assert front_door.main(["--version"]) == 0
    assert capsys.readouterr().out == f"soars-nnunet {__version__}\n"


def test_unknown_command_is_one_line_with_the_known_ones(capsys):
    assert front_door.main(["straitfy", "-d", "7"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "got 'straitfy'" in captured.err and "did you mean stratify" in captured.err


def test_a_command_gets_its_options_and_gives_its_exit_code(capsys):
    assert front_door.main(["env", "--shell", "fish"]) == 0
    assert capsys.readouterr().out.startswith("set -gx nnUNet_extTrainer ")
    assert front_door.main(["evaluate"]) == 2
    assert capsys.readouterr().err.startswith("error: expected both -p")
    with pytest.raises(SystemExit, match="2"):
        front_door.main(["phantom", "-d", "0"])
    assert "from 1 to 999" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("info",)])
def test_light_words_load_nothing_heavy_and_are_instant(words):
    started = time.monotonic()
    done = fresh(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < INSTANT_S


def test_help_of_every_command_loads_neither_torch_nor_nnunet():
    code = (
        "import sys, contextlib, io\n"
        "from soars_nnunet.cli.commands import COMMANDS\n"
        "from soars_nnunet.cli.front_door import main\n"
        "for name in COMMANDS:\n"
        "    text = io.StringIO()\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(text):\n"
        "        main([name, '--help'])\n"
        "    assert text.getvalue().splitlines()[2] == 'example:', text.getvalue()\n"
        "sys.exit(' '.join({'torch', 'nnunetv2'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
