"""A cascade and two single networks of 43 classes with random weights, at work-like sizes, for benchmarks."""

import os
import subprocess
from pathlib import Path

import torch

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.phnn import PHNN

DATASET = 42
STOCK_PLANS, STOCK_TRAINER = "Stock", "nnUNetTrainerNoMirroring"
FOREGROUND = 0.05
"""Share of voxels that the random networks call an organ, as in a head-and-neck CT."""
PROBE = (64, 64, 64)
"""Noise of this size tells how the random weights answer."""
PEAK = 0.7
"""Height of the random heat maps."""


def folders(work: Path) -> None:
    """Point nnU-Net's variables into a working folder."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[name] = str(work.resolve() / name)
        (work / name).mkdir(parents=True, exist_ok=True)
    os.environ |= {"nnUNet_extTrainer": trainer_folder(), "nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1"}


def make_models(work: Path, spacing_mm: list[str], plan: list[str]) -> Cascade:
    """Stratify and plan four phantoms; write random weights for fold 0 and 1 of everything.

    Args:
        work: Folder for nnU-Net's three; kept, so that another run need not make the models again.
        spacing_mm: Z, Y, X of all networks.
        plan: Further options of soars-plan.
    """
    folders(work)
    done, made_from = work / "models.json", {"spacing_mm": spacing_mm, "plan": plan}
    if done.is_file():
        if read_json(done) != made_from:
            raise SystemExit(f"error: {work} holds models of other options ({done}); choose another folder")
        return Cascade.load(DATASET)
    dataset = ["-d", str(DATASET)]
    size = ["--shape", "128", "140", "140", "--spacing", "3", "3", "3"]
    run(["soars-phantom"] + dataset + ["--train", "4", "--test", "0"] + size)
    run(["soars-stratify"] + dataset + ["-p", "hn42", "--folds", "2", "--baseline", "--empty-means-absent"])
    cascade = Cascade.load(DATASET)
    spacings = ["--spacing"] + spacing_mm + ["--small-hard-spacing"] + spacing_mm
    for branches in (("anchor", "baseline"), ("mid_level", "detection"), ("small_hard",)):
        run(["soars-plan"] + dataset + spacings + plan)
        for branch in branches:
            for fold in range(2):
                write_weights(cascade.datasets[branch], BRANCHES[branch].trainer, DEFAULT_PLANS, fold)
        if branches != ("small_hard",):
            run(["soars-channels"] + dataset + ["--device", "cpu"])
    make_stock_model(cascade.datasets["baseline"], spacing_mm)
    write_json(done, made_from)
    return cascade


def make_stock_model(dataset: str, spacing_mm: list[str]) -> None:
    """nnU-Net's own plan of the dataset of all organs, at the cascade's spacing, with random weights of fold 0."""
    number = ["-d", dataset[7:10]]
    run(["nnUNetv2_extract_fingerprint"] + number + ["-np", "1", "--clean"])
    stock = ["-overwrite_target_spacing"] + spacing_mm + ["-overwrite_plans_name", STOCK_PLANS]
    run(["nnUNetv2_plan_experiment"] + number + stock)
    run(["nnUNetv2_preprocess"] + number + ["-plans_name", STOCK_PLANS, "-c", CONFIGURATION, "-np", "1"])
    write_weights(dataset, STOCK_TRAINER, STOCK_PLANS, 0)


def run(command: list[str]) -> None:
    """Run a command; its output is shown only if it fails."""
    print(" ".join(command), flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {command[0]} failed:\n{done.stdout[-3000:]}")


def write_weights(dataset: str, trainer_name: str, plans: str, fold: int) -> None:
    """Final checkpoint of an untrained fold, as nnU-Net writes it."""
    from nnunetv2.run.run_training import get_trainer_from_args

    torch.manual_seed(fold)
    trainer = get_trainer_from_args(dataset, CONFIGURATION, fold, trainer_name, plans, device=torch.device("cpu"))
    trainer.initialize()
    make_sparse(trainer.network, trainer.num_input_channels)
    trainer.save_checkpoint(str(Path(trainer.output_folder) / CHECKPOINT))
    for name, data in (("plans.json", trainer.plans_manager.plans), ("dataset.json", trainer.dataset_json)):
        write_json(Path(trainer.output_folder_base) / name, data)


@torch.inference_mode()
def make_sparse(network: torch.nn.Module, num_channels: int) -> None:
    """Shift the output's biases so that organs are about as rare, or peaks about as high, as trained ones."""
    network.eval()
    example = torch.rand(1, num_channels, *PROBE)
    output = network(example)
    output = (output[0] if isinstance(output, list | tuple) else output)[0]
    if isinstance(network, PHNN) and network.constant_background is not None:
        layer = network.score_convs[0]
        layer.bias += PEAK - output[1:].flatten(1).amax(1)
        return
    layer = network.score_convs[0] if isinstance(network, PHNN) else network.decoder.seg_layers[-1]
    ahead = (output[1:].amax(0) - output[0]).flatten()
    layer.bias[0] += torch.quantile(ahead[:: max(1, len(ahead) // 100_000)], 1 - FOREGROUND)
