"""Two runs at once on one dataset, fold or bundle: the second one is told who the first is, and ends with 2."""

import os
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from soars_nnunet.cascade.lock import BusyError, take
from soars_nnunet.cli import bundle, channels, cross_validate, guards, import_set, phantom, plan, stratify

SOURCE = "Dataset007_Tiny"


@pytest.fixture
def folders(nnunet_folders, tmp_path, monkeypatch):
    (nnunet_folders / SOURCE).mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path


SECONDS = {
    "stratify": (stratify.main, ["-d", "7", "-p", "hn42"], f"nnUNet_preprocessed/.{SOURCE}.lock", SOURCE),
    "plan": (plan.main, ["-d", "7"], f"nnUNet_preprocessed/.{SOURCE}.lock", SOURCE),
    "plan by name": (plan.main, ["-d", SOURCE], f"nnUNet_preprocessed/.{SOURCE}.lock", SOURCE),
    "channels": (channels.main, ["-d", "7"], f"nnUNet_preprocessed/.{SOURCE}.lock", SOURCE),
    "import": (import_set.main, ["pddca", "SET", "-d", "9"], "nnUNet_raw/.Dataset009.lock", "Dataset009"),
    "phantom": (phantom.main, ["-d", "9"], "nnUNet_raw/.Dataset009.lock", "Dataset009"),
    "bundle make": (bundle.main, ["make", "-d", "7", "-o", "neck.zip", "--name", "neck"], ".neck.zip.lock", "neck.zip"),
}


@pytest.mark.parametrize(("main", "words", "lock", "named"), SECONDS.values(), ids=SECONDS)
def test_the_second_run_is_refused_in_one_line(folders, capsys, monkeypatch, main, words, lock, named):
    monkeypatch.chdir(folders)
    held = take(folders / lock, "x")
    before = sorted(str(path) for path in folders.rglob("*"))
    try:
        assert main(words) == 2
    finally:
        held.release()
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert named in said and f"is being written by {Path(sys.argv[0]).name} (process {os.getpid()} on " in said
    assert sorted(str(path) for path in folders.rglob("*")) == [path for path in before if not path.endswith(".lock")]


def test_an_installation_has_the_folder_of_installed_bundles(folders):
    with guards.bundle(Namespace(action="install")):
        with pytest.raises(BusyError), guards.bundle(Namespace(action="install")):
            pass
        with guards.bundle(Namespace(action="verify")), guards.bundle(Namespace(action="list")):
            pass


def folds(*numbers, model=None, plans_name="nnUNetPlans"):
    return guards.cross_validated_folds(
        Namespace(dataset="7", model=model, plans_name=plans_name, folds=list(numbers) or None)
    )


@pytest.fixture
def two_folds(folders, monkeypatch):
    cascade = SimpleNamespace(source=SOURCE, num_folds=2)
    monkeypatch.setattr(guards.Cascade, "load", lambda dataset: cascade)
    return folders


def test_other_folds_plans_and_bundles_are_cross_validated_at_the_same_time(two_folds):
    with ExitStack() as stack:
        for one in (folds(0), folds(1), folds(plans_name="Other"), folds(model="a/b"), folds(0, model="c")):
            stack.enter_context(one)
    assert os.listdir(two_folds / "nnUNet_results") == []


@pytest.mark.parametrize("second", [(), (1,), (0, 1)])
def test_a_fold_is_cross_validated_once_at_a_time(two_folds, second):
    with folds(1), pytest.raises(BusyError, match=f"the cross-validation of fold 1 of {SOURCE}"), folds(*second):
        pass
    with folds(*second):
        pass


def test_cross_validation_has_its_guard(two_folds, capsys):
    with folds(0):
        assert cross_validate.main(["-d", "7"]) == 2
    assert "fold 0" in capsys.readouterr().err
