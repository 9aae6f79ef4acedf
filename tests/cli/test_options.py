import argparse
from pathlib import Path

import pytest
import torch
from cli.cases import SOURCE

from soars_nnunet.cli import cascade_predict, channels, evaluate, options, plan, stratify
from soars_nnunet.cli.options import add_tiling, to_tiling
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(stratify.main, ["-p", "hn42"]), (plan.main, []), (channels.main, [])],
    ids=["stratify", "plan", "channels"],
)
def test_unknown_dataset(refused, source, command, arguments):
    line = refused(command, "-d", 43, *arguments)
    assert "dataset 43" in line and SOURCE in line


@pytest.mark.parametrize("command", [plan.main, channels.main], ids=["plan", "channels"])
def test_dataset_that_is_not_stratified(refused, source, command):
    assert "soars-stratify -d 42" in refused(command, "-d", 42)


def test_unknown_profile(refused, source):
    assert "no profile 'hn43'" in refused(stratify.main, "-d", 42, "-p", "hn43")
    assert "; did you mean hn42?" in refused(stratify.main, "-d", 42, "-p", "hn43")
    assert "no profile 'hn43'" in refused(evaluate.main, "-p", source, "-r", source, "--profile", "hn43")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda_without_a_gpu(refused, stratified, manifest, tmp_path):
    assert "use --device cpu" in refused(channels.main, "-d", 42, "--device", "cuda")
    assert "use --device cpu" in refused(
        cascade_predict.main, "-i", tmp_path, "-o", tmp_path / "out", "-m", manifest, "--device", "cuda"
    )


def test_unknown_device(refused, stratified):
    assert "expected cpu, cuda or mps, got 'tpu'" in refused(channels.main, "-d", 42, "--device", "tpu")


def tiling_of(*typed):
    parser = argparse.ArgumentParser()
    add_tiling(parser)
    return to_tiling(parser.parse_args(typed))


@pytest.mark.parametrize(
    ("typed", "tiling"),
    [
        ((), DEFAULT_TILING),
        (("--tiling", "large"), Tiling("large")),
        (("--tiling", "everywhere"), Tiling("everywhere")),
        (("--large-tiles",), Tiling("large")),
        (("--everywhere", "--step-size", "0.5"), Tiling("everywhere", 0.5)),
        (("--everywhere", "--large-tiles"), Tiling("everywhere-large")),
        (("--tiling", "everywhere", "--large-tiles"), Tiling("everywhere-large")),
        (("--tiling", "everywhere-large"), Tiling("everywhere-large")),
    ],
)
def test_old_and_new_spellings_of_a_tiling_say_the_same(typed, tiling):
    assert tiling_of(*typed) == tiling


def test_help_names_one_tiling_option():
    parser = argparse.ArgumentParser()
    add_tiling(parser)
    text = parser.format_help()
    assert "--tiling {default,large,everywhere}" in text
    assert not any(old in text for old in ("--step-size", "--everywhere", "--large-tiles", "everywhere-large"))


def test_an_unknown_tiling_is_refused(capsys):
    with pytest.raises(SystemExit):
        tiling_of("--tiling", "huge")
    assert "invalid choice: 'huge'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "many"])
def test_what_is_not_a_positive_number(text):
    with pytest.raises(ValueError, match=r"0|-1|inf|nan|many"):
        options.positive(text)


def test_positive_number():
    assert options.positive("7.5") == 7.5


def parsed(add, *words):
    parser = argparse.ArgumentParser()
    add(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("spelling", ["--not-annotated", "--unannotated"])
def test_both_spellings_of_what_is_not_annotated(spelling):
    assert parsed(options.add_not_annotated, spelling, "cases.json").not_annotated == Path("cases.json")


def test_folds_add_up():
    assert parsed(lambda parser: options.add_folds(parser, ""), "--folds", "0", "2", "--folds", "3").folds == [0, 2, 3]


def test_device_by_name_and_by_default(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert options.to_device(None) == torch.device("cuda")
    assert options.to_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert options.to_device(None) == torch.device("cpu")
