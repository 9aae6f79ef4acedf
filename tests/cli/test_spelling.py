import argparse

import pytest

from soars_nnunet.cli.spelling import spelling_of, usage_of


def test_usage_names_what_must_be_given():
    parser = argparse.ArgumentParser(prog="soars-x")
    parser.add_argument("source", metavar="SRC")
    parser.add_argument("-d", "--dataset", required=True, metavar="ID")
    parser.add_argument("--folds", nargs="+")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-e", "--evaluation")
    what.add_argument("-p", "--prediction")
    assert usage_of(parser) == "soars-x (-e EVALUATION | -p PREDICTION) SRC -d ID [options]"


def test_usage_without_required_options():
    assert usage_of(argparse.ArgumentParser(prog="soars-x")) == "soars-x [options]"


@pytest.mark.parametrize(
    ("names", "settings", "typed"),
    [
        (["--overwrite"], {"action": "store_true"}, "--overwrite"),
        (["--spacing"], {"nargs": 3, "metavar": ("Z", "Y", "X")}, "--spacing Z Y X"),
        (["--set"], {"nargs": "+", "metavar": "KEY=VALUE"}, "--set KEY=VALUE ..."),
        (["--shell"], {"choices": ("sh", "fish")}, "--shell {sh,fish}"),
        (["-o", "--output"], {}, "-o OUTPUT"),
        (["set"], {"metavar": "SET", "choices": ("a", "b")}, "SET"),
    ],
)
def test_spelling(names, settings, typed):
    action = argparse.ArgumentParser().add_argument(*names, **settings)
    assert spelling_of(action) == typed


def test_spelling_of_a_second_name():
    action = argparse.ArgumentParser().add_argument("-d", "--dataset", metavar="ID")
    assert spelling_of(action, "--dataset") == "--dataset ID"
