"""Values of options that make no sense are refused by name, before anything is read or written."""

import pytest

from soars_nnunet.cli import cascade_predict, channels, evaluate, import_set, phantom, plan, report, stratify

PREDICT = ["-i", "ct.nii.gz", "-o", "out"]
ROWS = {
    "predict -o ''": (cascade_predict, ["-i", "ct.nii.gz", "-o", ""], "-o/--output: expected a path, got an empty"),
    "predict -i ' '": (cascade_predict, ["-i", " ", "-o", "out"], "-i/--input: expected a path"),
    "predict -m ''": (cascade_predict, [*PREDICT, "-m", ""], "-m/--models: expected a path"),
    "predict --folds -1": (cascade_predict, [*PREDICT, "--folds", "-1"], "--folds: expected"),
    "predict --step-size nan": (cascade_predict, [*PREDICT, "--step-size", "nan"], "expected a number from 0.01 to 1"),
    "predict --num-parts 0": (cascade_predict, [*PREDICT, "--num-parts", "0"], "--num-parts: expected a whole number"),
    "predict --memory-limit nan": (cascade_predict, [*PREDICT, "--memory-limit", "nan"], "--memory-limit"),
    "plan --plans-name a/b": (plan, ["-d", "7", "--plans-name", "a/b"], "expected a plain name, got 'a/b', which is a"),
    "plan --plans-name ../x": (plan, ["-d", "7", "--plans-name", "../x"], "'../x', which is a path"),
    "plan --plans-name ''": (plan, ["-d", "7", "--plans-name", ""], "'', which is empty"),
    "plan --plans-name with an escape": (
        plan,
        ["-d", "7", "--plans-name", "a\x1b[31m"],
        "which has signs that cannot",
    ),
    "plan --plans-name of 300 letters": (plan, ["-d", "7", "--plans-name", "a" * 300], "is longer than 200 bytes"),
    "plan --fine-tune ../x": (plan, ["-d", "7", "--fine-tune", "../x"], "--fine-tune: expected a plain name"),
    "plan --spacing 0": (
        plan,
        ["-d", "7", "--spacing", "0", "1", "1"],
        "expected a number from 0.05 to 100",
    ),
    "plan --spacing nan": (plan, ["-d", "7", "--spacing", "nan", "1", "1"], "expected a number from 0.05"),
    "plan --spacing 1e9": (plan, ["-d", "7", "--spacing", "1e9", "1", "1"], "expected a number from 0.05"),
    "plan -np 0": (plan, ["-d", "7", "-np", "0"], "-np: expected a whole number from 1 to 1024, got '0'"),
    "plan -np 10^9": (plan, ["-d", "7", "-np", str(10**9)], "-np: expected a whole number"),
    "channels --plans-name a/b": (channels, ["-d", "7", "--plans-name", "a/b"], "expected a plain name"),
    "stratify --folds 0": (
        stratify,
        ["-d", "7", "-p", "hn42", "--folds", "0"],
        "--folds: expected a whole number",
    ),
    "evaluate -np -1": (evaluate, ["-p", "a", "-r", "b", "-np", "-1"], "-np: expected"),
    "evaluate -o ''": (evaluate, ["-p", "a", "-r", "b", "-o", ""], "-o/--output: expected a path"),
    "report -o ''": (report, ["-e", "a", "-o", ""], "-o/--output: expected a path"),
    "import --name ..": (import_set, ["masks", "x", "-d", "3", "--name", ".."], "--name: expected a plain name"),
    "import -d 0": (import_set, ["masks", "x", "-d", "0"], "-d/--dataset: expected a whole number from 1 to 999"),
    "phantom --name a/b": (phantom, ["--name", "a/b"], "--name: expected a plain name, got 'a/b'"),
    "phantom --name ''": (phantom, ["--name", ""], "--name: expected a plain name, got ''"),
    "phantom --shape 1 1 1": (phantom, ["--shape", "1", "1", "1"], "--shape: expected a whole number from 8 to 2048"),
    "phantom --shape 100000^3": (phantom, ["--shape", *["100000"] * 3], "--shape: expected a whole number from 8 to"),
    "phantom --spacing inf": (phantom, ["--spacing", "inf", "1", "1"], "--spacing: expected a number"),
    "phantom --seed -1": (phantom, ["--seed", "-1"], "--seed: expected"),
    "phantom -d 1000": (phantom, ["-d", "1000"], "-d/--dataset: expected a whole number from 1 to 999, got '1000'"),
}


@pytest.mark.parametrize("row", ROWS)
def test_odd_values_are_refused_by_the_name_of_their_option(row, capsys):
    command, arguments, expected = ROWS[row]
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    last = said.rstrip("\n").rsplit("\n", 1)[-1]
    assert expected in last and last.isprintable()


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        (phantom, ["--shape", "2048", "2048", "2048"], "--shape: expected at most 268435456 voxels in all"),
        (phantom, ["--train", "0", "--test", "0"], "--train 0 --test 0: expected at least one phantom"),
        (cascade_predict, [*PREDICT, "--plans-name", "Other"], "--plans-name Other: expected also -d with the dataset"),
    ],
    ids=["phantom of 34 GB", "no phantom", "plans name without a dataset"],
)
def test_values_that_do_not_go_together(command, arguments, expected, nnunet_folders, capsys):
    assert command.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {expected}") and captured.err.count("\n") == 1
    assert not nnunet_folders.exists() or not list(nnunet_folders.iterdir())
