"""The table of commands against the console scripts, the modules and the help texts."""

import argparse
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest

import soars_nnunet
from soars_nnunet.cli.command import make_parser
from soars_nnunet.cli.commands import COMMANDS, FRONT_DOOR
from soars_nnunet.cli.reference import actions_of

ROOT = Path(soars_nnunet.__file__).parents[1]
SHARED = {"__init__", "command", "commands", "front_door", "guards", "interruption", "option_values", "options"}
SHARED |= {"profiles_reference", "reference", "spelling"}


def help_of(command):
    return make_parser(command, import_module(command.import_path).add_arguments).format_help()


def test_console_scripts_are_those_of_the_table():
    configuration = ConfigParser()
    configuration.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = configuration["options.entry_points"]["console_scripts"].strip().splitlines()
    found = dict(line.split(" = ") for line in lines)
    expected = {FRONT_DOOR: "soars_nnunet.cli.front_door:main"}
    for command in COMMANDS.values():
        if command.is_script:
            expected[command.program] = f"{command.import_path}:main"
    assert found == expected


def test_every_module_is_shared_or_a_command():
    modules = {path.stem for path in (ROOT / "soars_nnunet" / "cli").glob("*.py")}
    assert modules - SHARED == {command.module for command in COMMANDS.values()}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_modules_have_one_shape(name):
    module = import_module(COMMANDS[name].import_path)
    assert callable(module.add_arguments) and callable(module.run) and module.main.__name__ == COMMANDS[name].program


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_is_one_short_sentence(name):
    summary = COMMANDS[name].summary
    assert len(summary) <= 90 and summary.endswith(".") and "\n" not in summary


@pytest.mark.parametrize("name", COMMANDS)
def test_help_opens_with_an_example_that_the_parser_takes(name):
    command = COMMANDS[name]
    lines = help_of(command).splitlines()
    assert lines[:4] == [lines[0], "", "example:", f"  {command.example}"]
    assert lines[0].startswith(f"usage: {command.program}")
    words = command.example.replace('eval "$(', "").replace(')"', "").split()
    assert " ".join(words[: len(command.program.split())]) == command.program
    parser = make_parser(command, import_module(command.import_path).add_arguments)
    parser.parse_args(words[len(command.program.split()) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name):
    command = COMMANDS[name]
    parser = make_parser(command, import_module(command.import_path).add_arguments)
    for action in parser._actions:
        assert action.help and not action.help.endswith("."), action.option_strings


def test_hidden_options_are_few():
    hidden = set()
    for command in COMMANDS.values():
        parser = make_parser(command, import_module(command.import_path).add_arguments)
        for one in (parser, *actions_of(parser).values()):
            hidden.update(action.dest for action in one._actions if action.help is argparse.SUPPRESS)
    assert hidden == {"step_size", "everywhere", "large_tiles"}
