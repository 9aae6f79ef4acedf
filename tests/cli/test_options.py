import pytest
import torch
from cli.cases import SOURCE

from soars_nnunet.cli import cascade_predict, channels, evaluate, plan, stratify


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
    assert "no profile 'hn43'" in refused(evaluate.main, "-p", source, "-r", source, "--profile", "hn43")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda_without_a_gpu(refused, stratified, manifest, tmp_path):
    assert "use --device cpu" in refused(channels.main, "-d", 42, "--device", "cuda")
    assert "use --device cpu" in refused(
        cascade_predict.main, "-i", tmp_path, "-o", tmp_path / "out", "-m", manifest, "--device", "cuda"
    )


def test_unknown_device(refused, stratified):
    assert "expected cpu, cuda or mps, got 'tpu'" in refused(channels.main, "-d", 42, "--device", "tpu")
