"""A whole cascade of untrained networks: every step is real, only the training is replaced by seeded weights."""

import json
import logging
import os
import shutil
from copy import deepcopy
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import published_layouts
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
from nnunetv2.preprocessing.preprocessors import default_preprocessor
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cascade.stored_cases import load_preprocessed
from soars_nnunet.guidance.channels import make_channels
from soars_nnunet.phantom.dataset import write_phantom_dataset
from soars_nnunet.phantom.phantom import make_phantom
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.plan import plan
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify
from soars_nnunet.training.base import SOARSTrainer

pytest_plugins = ("bundles.fixtures", "html_report.cases", "planning.cases")

SHAPE, SPACING_MM = (40, 34, 34), (7.0, 7.0, 7.0)
OPTIONS = PlanOptions(
    regime="demo",
    spacing_mm=(9.0, 8.0, 8.0),
    small_hard_spacing_mm=(6.0, 5.0, 5.0),
    overrides=("features_per_stage=[4,4,8,8]", "n_convs_per_stage=[1,1,1,1]", "max_patch_voxels=[16,16,16]"),
    num_processes=1,
)
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


@pytest.fixture(scope="session")
def phantom():
    """The patient in the files of every published layout."""
    return make_phantom(4, published_layouts.SHAPE, published_layouts.SPACING_MM)


@pytest.fixture
def pddca(tmp_path, phantom):
    """Two training cases, an optional one, one of each test part; contours lacking as in the real set."""
    return published_layouts.write_pddca_set(tmp_path / "PDDCA", phantom)


@pytest.fixture
def deepmind(tmp_path, phantom):
    return published_layouts.write_deepmind_set(tmp_path / "tcia", phantom)


@pytest.fixture
def nnunet_folders(tmp_path, monkeypatch):
    """Raw folder of an empty environment; what commands set in the process is put back."""
    point_to(tmp_path, monkeypatch.setenv)
    monkeypatch.setenv("nnUNet_extTrainer", "")
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield tmp_path / "nnUNet_raw"
    root.handlers[:] = handlers


def point_to(root: Path, set_variable) -> None:
    for name in FOLDERS:
        set_variable(name, str(root / name))


@pytest.fixture(scope="session")
def untrained_cascade(tmp_path_factory):
    """Record of a stratified, planned cascade of four tiny phantoms in which every fold has random weights."""
    root = tmp_path_factory.mktemp("cascade")
    with pytest.MonkeyPatch.context() as patch:
        point_to(root, patch.setenv)
        patch.setenv("nnUNet_extTrainer", trainer_folder())
        patch.setenv("nnUNet_def_n_proc", "1")
        patch.setenv("nnUNet_n_proc_DA", "0")
        patch.setenv("nnUNet_compile", "f")
        # workers that are spawned import torch and nnU-Net for seconds each; the slow test starts real ones
        threaded = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
        for module in (default_preprocessor, fingerprint_extractor):
            patch.setattr(module, "multiprocessing", threaded)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        write_dataset(root / "nnUNet_raw" / "Dataset007_Tiny")
        cascade = stratify(7, load_profile("hn42"), StratifyOptions(num_folds=2, empty_means_absent=True)).cascade
        for branches in (("anchor",), ("mid_level", "detection"), ("small_hard",)):
            assert set(branches) <= set(plan(cascade, OPTIONS))
            for branch in branches:
                write_weights(cascade, branch)
            if branches != ("small_hard",):
                make_channels(cascade, DEFAULT_PLANS, torch.device("cpu"))
        yield cascade
        torch.set_num_threads(threads)


@pytest.fixture
def cascade_copy(untrained_cascade, tmp_path, monkeypatch):
    """A copy of the whole tree that a test may damage; the environment points to it."""
    return copy_tree(untrained_cascade, tmp_path / "copy", monkeypatch.setenv)


@pytest.fixture
def model_copy(untrained_cascade, tmp_path):
    """Model folder of the anchors, which a test may damage."""
    folder = untrained_cascade.model("anchor", DEFAULT_PLANS)
    return shutil.copytree(folder, tmp_path / folder.name)


def copy_tree(cascade: Cascade, root: Path, set_variable) -> Cascade:
    shutil.copytree(Path(os.environ["nnUNet_raw"]).parent, root)
    point_to(root, set_variable)
    return Cascade.load(cascade.source)


def write_dataset(folder: Path) -> None:
    """Four training and two test phantoms; one stored in another orientation, one padded, one of another spacing."""
    write_phantom_dataset(folder, num_training=4, num_test=2, shape=SHAPE, spacing_mm=SPACING_MM)
    odd = folder.with_name("odd")
    write_phantom_dataset(odd, num_training=4, num_test=2, shape=(46, 32, 36), spacing_mm=(6.0, 7.5, 6.5))
    for kind in ("imagesTr/phantom_003_0000", "labelsTr/phantom_003", "imagesTs/phantom_005_0000"):
        shutil.copyfile(odd / f"{kind}.nii.gz", folder / f"{kind}.nii.gz")
    shutil.rmtree(odd)
    for kind in ("imagesTr/phantom_001_0000", "labelsTr/phantom_001"):
        rewrite(
            folder / f"{kind}.nii.gz", lambda image: sitk.Flip(sitk.PermuteAxes(image, (1, 2, 0)), (True, False, False))
        )
    for kind in ("imagesTr/phantom_002_0000", "labelsTr/phantom_002"):
        # nnU-Net crops what is zero all round
        rewrite(folder / f"{kind}.nii.gz", lambda image: sitk.ConstantPad(image, (3, 0, 2), (1, 4, 0), 0))


def rewrite(path: Path, change) -> None:
    sitk.WriteImage(change(sitk.ReadImage(str(path))), str(path), True)


def write_weights(cascade: Cascade, branch: str, plans_name: str = DEFAULT_PLANS) -> None:
    """Checkpoints of all folds as nnU-Net writes them, of networks whose output varies with the CT."""
    trainer_class = recursive_find_trainer_class_by_name(BRANCHES[branch].trainer)
    plans = read_json(cascade.plans(branch, plans_name))
    dataset_json = read_json(cascade.preprocessed(branch) / "dataset.json")
    cases = [case for split in cascade.splits(branch) for case in split["val"]]
    example = torch.from_numpy(load_preprocessed(cascade.data(branch, plans_name), sorted(cases)[0])[0])
    base: dict[str, torch.Tensor] = {}
    for fold in range(len(cascade.splits(branch))):
        trainer = trainer_class(
            {**deepcopy(plans), "continue_training": False}, CONFIGURATION, fold, dataset_json, torch.device("cpu")
        )
        trainer.initialize()
        base = base or deepcopy(trainer.network.state_dict())
        vary_weights(trainer, base, fold)
        make_output_varied(trainer, example)
        for key in ("train_losses", "val_losses", "ema_fg_dice"):
            trainer.logger.log(key, np.float32(0.5), 0)
        trainer.logger.log("lrs", np.float64(0.01), 0)
        trainer.logger.log("dice_per_class_or_region", [np.float64(0.25)], 0)
        trainer._best_ema = np.float64(0.5)
        trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
    folder = cascade.model(branch, plans_name)
    for name, data in (("plans.json", plans), ("dataset.json", trainer.dataset_json)):
        (folder / name).write_text(json.dumps(data))


def vary_weights(trainer: SOARSTrainer, base: dict[str, torch.Tensor], fold: int) -> None:
    """Folds of one design are alike, but not the same."""
    generator = torch.Generator().manual_seed(fold)
    weights = {
        key: value * (1 + 0.2 * torch.randn(value.shape, generator=generator)) if value.ndim > 1 else value
        for key, value in base.items()
    }
    trainer.network.load_state_dict(weights)


@torch.inference_mode()
def make_output_varied(trainer: SOARSTrainer, example: torch.Tensor) -> None:
    """Scale the score convolutions: logits of standard deviation 2.5 a class, or heat maps from 0 to about 0.7."""
    network = trainer.network.eval()
    network.deep_supervision = False
    detection = network.constant_background is not None
    scores = network(example[None])[0][int(detection) :].flatten(1)
    mean = scores.mean(1)
    scale = 0.6 / (scores.max(1)[0] - mean) if detection else 2.5 / scores.std(1)
    for index, convolution in enumerate(network.score_convs):
        convolution.weight.mul_(scale[:, None, None, None, None])
        convolution.bias.mul_(scale)
        if index == 0:
            convolution.bias.add_(-mean * scale + (0.1 if detection else 0))
            if not detection:
                convolution.bias[0] += 1.0
    network.deep_supervision = True
