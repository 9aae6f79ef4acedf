"""``soars-import``: a public data set, or masks of the user's own, as a raw nnU-Net dataset."""

from __future__ import annotations

import argparse

from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.option_values import to_name, to_path, whole_number
from soars_nnunet.cli.options import add_alias
from soars_nnunet.importing.public_sets import available_sets, read_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which set, where it lies, and what of it is written."""
    sets = available_sets()
    parser.add_argument("set", metavar="SET", choices=sets, help=f"one of {', '.join(sets)}")
    parser.add_argument("source", type=to_path, metavar="SRC", help="folder of the set, as downloaded and unpacked")
    parser.add_argument(
        "-d", "--dataset", type=whole_number(1, 999), required=True, metavar="ID", help="id of the new raw dataset"
    )
    parser.add_argument("--name", type=to_name, help="name of the new dataset (default: the set's own)")
    parser.add_argument(
        "--choose",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=_describe_choices(sets).replace("%", "%%"),
    )
    parser.add_argument(
        "-p", "--profile", help="write the organs that this profile knows (default: those that the set's table names)"
    )
    parser.add_argument(
        "--structures",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="write exactly these; all: every published structure",
    )
    add_alias(parser, "mask")
    parser.add_argument(
        "--without-ct", action="store_true", help="also write label maps of cases without a CT, as references"
    )


def _describe_choices(sets: list[str]) -> str:
    """What can be chosen, set by set."""
    described = []
    for name in sets:
        choices = read_table(name).get("choices", {})
        for key, row in choices.items():
            values = "|".join(row["values"])
            described.append(f"{name}: {key}={values} ({row['help']})")
    return "; ".join(described)


def run(arguments: argparse.Namespace) -> None:
    """Import; list everything odd, also in import_report.txt and .json beside the data."""
    from soars_nnunet.cascade.aliases import parse_aliases
    from soars_nnunet.importing.dataset import ImportOptions, import_set
    from soars_nnunet.importing.public_sets import load_set

    table = load_set(arguments.set, arguments.choose)
    options = ImportOptions(
        profile=arguments.profile,
        structures=arguments.structures,
        name=arguments.name,
        without_ct=arguments.without_ct,
        aliases=parse_aliases(arguments.alias),
    )
    done = import_set(table, arguments.source, arguments.dataset, options, progress=say)
    for line in (*done.lines(), *table.notes, done.next_step()):
        say(line)
    done.require_all()


main = make_main("import", add_arguments, run, guard=guards.new_dataset)
