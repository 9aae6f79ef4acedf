"""The whole chain by the commands a user types, each in a fresh process, on coarse phantoms."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.geometry.stitch import tier_argmax
from soars_nnunet.images.network_frame import Scan, from_network_frame
from soars_nnunet.networks.genotype import load_genotypes
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor

pytestmark = pytest.mark.slow

SETTINGS = [
    "num_epochs=2",
    "iterations_per_epoch=10",
    "val_iterations_per_epoch=1",
    "max_patch_voxels=[32,32,32]",
    "mid_level.p_intensity=1",
    "mid_level.p_guidance_corruption=0.2",
    "detection.p_mirror=0.5",
    "small_hard.p_mirror=0.5",
    "features_per_stage=[8,16,16,32]",
    "n_convs_per_stage=[1,1,1,1]",
    "p_scaling=0.0",
    "anchor.iterations_per_epoch=50",
    "anchor.initial_lr=0.05",
    "final_validation=false",
    "mid_level.final_validation=true",
    "search_frozen_epochs=1",
    "search_joint_epochs=1",
    "search_iterations_per_epoch=3",
]
PLAN = ["soars-plan", "-d", "5", "--regime", "demo", "-np", "1", "--set", *SETTINGS]


class Chain:
    """Runs commands in one tree of nnU-Net folders."""

    def __init__(self, root: Path) -> None:
        self.root, self.started = root, time.perf_counter()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("nnUNet")},
            **{name: str(root / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "nnUNet_n_proc_DA": "0",
            "nnUNet_def_n_proc": "1",
            "nnUNet_compile": "f",
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",  # nnU-Net takes all cores; on shared ones spinning threads are slow
        }
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            (root / name).mkdir()

    def say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.started:4.0f} s] {text}", flush=True)  # noqa: T201 - progress of minutes, shown by pytest -s

    def run(self, *command: str) -> str:
        self.say(" ".join(map(str, command))[:140])
        done = subprocess.run(
            [*map(str, command)], env=self.environment, capture_output=True, text=True, cwd=self.root, timeout=240
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def train(self, cascade: Cascade, branch: str, fold: int, *options: str) -> Path:
        """Train one fold with the command that the package names; returns its folder."""
        command = shlex.split(cascade.train_command(branch, fold))
        self.run(*command, "-device", "cpu", *options)
        folder = cascade.model(branch, DEFAULT_PLANS) / f"fold_{fold}"
        assert (folder / "checkpoint_final.pth").is_file()
        assert (folder / "validation" / "summary.json").is_file() == (branch == "mid_level")
        losses = train_losses(folder)
        self.say(f"  training loss {losses}")
        assert len(losses) == 2 and losses[-1] < losses[0]
        return folder

    def search(self, cascade: Cascade) -> None:
        """Search the anchor's genotype with nnU-Net's command and plan a variant with it."""
        train = ["nnUNetv2_train", cascade.datasets["anchor"], CONFIGURATION, "0", "-tr", "SOARSAnchorSearchTrainer"]
        self.run(*train, "-device", "cpu")
        model = cascade.model("anchor", DEFAULT_PLANS)
        found = model.with_name(model.name.replace("Trainer", "SearchTrainer")) / "fold_0" / "genotype.json"
        kinds = load_genotypes(found)["anchor"]["kinds"]
        said = self.run(*PLAN, "--branches", "anchor", "--plans-name", "Found", "--genotype", found)
        assert f"anchor: genotype {' '.join(kinds)}" in said
        plans = read_json(cascade.plans("anchor", "Found"))
        assert PlansFile(plans).configuration["architecture"]["arch_kwargs"]["genotype"] == kinds

    def fine_tune(self, cascade: Cascade, images: Path) -> None:
        """Fine-tune fold 0's branches in one graph with nnU-Net's command and predict with them."""
        plan = ["soars-plan", "-d", "5", "--fine-tune", "FineTuned", "-np", "1"]
        said = self.run(*plan, "--set", "num_epochs=1", "iterations_per_epoch=3")
        (train,) = re.findall(r"nnUNetv2_train 5 3d_fullres 0 -tr SOARSFineTuneTrainer -p FineTuned", said)
        self.run(*shlex.split(train), "-device", "cpu")
        predict = ["soars-cascade-predict", "-d", "5", "--plans-name", "FineTuned", "--device", "cpu"]
        self.run(*predict, "-i", images, "-o", self.root / "fine_tuned")
        reports = [path for path in (self.root / "fine_tuned").glob("*.json") if path.name != "dataset.json"]
        models = read_json(reports[0])["models"]
        assert all("__FineTuned__" in model["name"] and model["folds"] == [0] for model in models.values())
        for branch in cascade.branches:
            check_nothing_of_patients(cascade.model(branch.key, "FineTuned"), cascade)
        check_nothing_of_patients(cascade.manifest("FineTuned").parents[1], cascade)

    def interrupt_training(self, cascade: Cascade, branch: str, fold: int) -> None:
        """Start a training and kill it in its second epoch."""
        command = shlex.split(cascade.train_command(branch, fold))
        self.say(f"{' '.join(command)}, interrupted")
        folder = cascade.model(branch, DEFAULT_PLANS) / f"fold_{fold}"
        process = subprocess.Popen(
            [*command, "-device", "cpu"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 120
            while "Epoch 1" not in log_of(folder):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
        assert (folder / "checkpoint_latest.pth").is_file() and not (folder / "checkpoint_final.pth").exists()


def log_of(fold: Path) -> str:
    return "".join(path.read_text() for path in sorted(fold.glob("training_log_*.txt")))


def train_losses(fold: Path) -> list[float]:
    return [float(value) for value in re.findall(r"train_loss\s+(?:np\.float\d+\()?(-?[\d.]+)", log_of(fold))]


def check_nothing_of_patients(folder: Path, cascade: Cascade) -> None:
    """Neither a case's name nor a raw path is in what a model folder needs for prediction."""
    files = [path for path in folder.rglob("*") if path.suffix in (".json", ".pth") and "validation" not in path.parts]
    assert len(files) > 2
    for path in files:
        content = path.read_bytes()
        for case in read_json(Cascade.path(cascade.source))["cases"]:
            assert case.encode() not in content, f"{path} names {case}"
        for part in (b"imagesTr", b"labelsTr"):
            assert part not in content, f"{path} holds a path of {part.decode()}"


def test_chain_of_commands(tmp_path, monkeypatch):
    chain = Chain(tmp_path)
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, chain.environment[name])
    phantom = ["--train", "6", "--test", "1", "--shape", "64", "56", "56", "--spacing", "4.5", "4.5", "4.5"]
    chain.run("soars-phantom", "-d", "5", *phantom)
    chain.run("soars-stratify", "-d", "5", "-p", "hn42", "--folds", "2", "--baseline")
    variable, _, value = chain.run("soars-env").removeprefix("export ").strip().partition("=")
    chain.environment[variable] = shlex.split(value)[0]
    cascade = Cascade.load(5)
    planned = chain.run(*PLAN)
    assert "MidLevel: waits for" in planned and "Detection: waits for" in planned

    chain.search(cascade)
    chain.train(cascade, "baseline", 0)
    chain.train(cascade, "anchor", 0)
    chain.interrupt_training(cascade, "anchor", 1)
    fold = chain.train(cascade, "anchor", 1, "--c")
    first, second = sorted(fold.glob("training_log_*.txt"))
    assert "Epoch 0" in first.read_text() and "Epoch 0" not in second.read_text(), "resumed, not begun again"
    done = chain.run("soars-channels", "-d", "5", "--device", "cpu")
    assert "Detection: not trained yet" in done
    assert "SmallHard: waits for" in chain.run(*PLAN)

    fold = chain.train(cascade, "detection", 0)
    chain.run(*shlex.split(cascade.train_command("detection", 0)), "-device", "cpu", "--val")
    assert (fold / "validation" / "summary.json").is_file(), "nnU-Net's own validation works on heat maps"
    chain.train(cascade, "detection", 1)
    fold = chain.train(cascade, "mid_level", 0, "--npz")
    stored = sorted(path.stem for path in (fold / "validation").glob("*.npz"))
    assert stored == sorted(cascade.splits("mid_level")[0]["val"])
    assert zipfile.is_zipfile(fold / "validation" / f"{stored[0]}.npz")
    done = chain.run("soars-channels", "-d", "5", "--device", "cpu")
    assert done.count("out-of-fold centre error") == 10 and "complete: anchor, detection" in done
    chain.run(*PLAN)
    chain.train(cascade, "small_hard", 0)

    images = Path(os.environ["nnUNet_raw"]) / cascade.source / "imagesTs"
    (ct_path,) = images.iterdir()
    case, stock = ct_path.name.removesuffix("_0000.nii.gz"), tmp_path / "stock"
    predict = ["nnUNetv2_predict", "-d", cascade.datasets["anchor"], "-tr", "SOARSAnchorTrainer", "-c", "3d_fullres"]
    chain.run(*predict, "-f", "0", "-npp", "0", "-nps", "0", "-device", "cpu", "-i", images, "-o", stock)
    chain.run("soars-cascade-predict", "-i", images, "-o", tmp_path / "ours", "--device", "cpu")
    mirrored = ["soars-cascade-predict", "-i", images, "-o", tmp_path / "mirrored", "--device", "cpu", "--tta"]
    chain.run(*mirrored, "--folds", "0")
    assert (tmp_path / "mirrored" / f"{case}.nii.gz").is_file()
    truth = images.with_name("labelsTs")
    table = chain.run("soars-evaluate", "-p", tmp_path / "ours", "-r", truth, "-o", tmp_path, "--profile", "hn42")
    chain.say(table.splitlines()[-3])

    ct = sitk.ReadImage(str(ct_path))
    labels = sitk.ReadImage(str(tmp_path / "ours" / f"{case}.nii.gz"))
    assert labels.GetSize() == ct.GetSize()
    for what in ("Spacing", "Origin", "Direction"):
        np.testing.assert_allclose(getattr(labels, f"Get{what}")(), getattr(ct, f"Get{what}")(), atol=1e-4)
    report = json.loads((tmp_path / "ours" / f"{case}.json").read_text())
    assert len(report["organs"]) == 42 and len(report["targets"]) == 10
    for warning in report["warnings"]:
        assert "averages fold(s) [0]; fold(s) [1] are not trained" in warning
    assert {key: row["folds"] for key, row in report["models"].items()} == {
        "anchor": [0, 1],
        "mid_level": [0],
        "detection": [0, 1],
        "small_hard": [0],
    }
    for name in ("evaluation.csv", "evaluation.json"):
        assert (tmp_path / name).stat().st_size > 1000

    torch.set_num_threads(1)
    predictor = CascadePredictor(cascade.manifest(DEFAULT_PLANS), PredictionOptions(folds=[0]))
    anchors = predictor.infer(Scan.of(ct, "phantom")).tiers["anchor"]
    ours = tier_argmax(anchors.values, anchors.grid).labels.numpy()
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(stock / f"{case}.nii.gz")))
    ours = sitk.GetArrayFromImage(from_network_frame(ours, ct))
    agreement = (ours == theirs).mean()
    chain.say(f"anchors: {len(np.unique(theirs)) - 1} organs predicted, {agreement:.2%} of voxels as nnUNetv2_predict")
    assert agreement >= 0.99 and len(np.unique(theirs)) > 1
    for branch in cascade.branches:
        check_nothing_of_patients(cascade.model(branch.key, DEFAULT_PLANS), cascade)
    chain.fine_tune(cascade, images)
    chain.say("done")
