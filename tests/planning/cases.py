"""A planned anchor branch of tiny phantoms, and trainers made from its plans."""

from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.preprocessing.preprocessors import default_preprocessor

from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.phantom.dataset import write_phantom_dataset
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.plan import plan
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify
from soars_nnunet.training.anchor import SOARSAnchorTrainer

PLANS = "nnUNetPlans"
SMALL_NETWORK = ("features_per_stage=[2,2,4,4]", "n_convs_per_stage=[1,1,1,1]", "max_patch_voxels=[16,16,16]")


def options(*overrides, **changes):
    return PlanOptions(regime="demo", overrides=(*SMALL_NETWORK, *overrides), num_processes=1, **changes)


@pytest.fixture(scope="module")
def planned_in_module(tmp_path_factory):
    """Four phantoms of 32 x 28 x 28 voxels of 9 mm in two folds, anchor planned; and what plan said."""
    root = tmp_path_factory.mktemp("planned")
    with pytest.MonkeyPatch.context() as patch:
        set_environment(root, patch)
        write_phantom_dataset(
            root / "nnUNet_raw" / "Dataset042_Neck",
            num_training=4,
            num_test=0,
            shape=(32, 28, 28),
            spacing_mm=(9.0, 9.0, 9.0),
        )
        cascade = stratify(42, load_profile("hn42"), StratifyOptions(num_folds=2)).cascade
        said = []
        keys = plan(cascade, options("num_epochs=7", "anchor.batch_size=3"), progress=said.append)
    return SimpleNamespace(cascade=cascade, keys=keys, said=said, root=root)


@pytest.fixture
def planned(planned_in_module, monkeypatch):
    """The same, which the tests of a module share, with the environment pointing to it."""
    set_environment(planned_in_module.root, monkeypatch)
    return planned_in_module


def set_environment(root, patch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        patch.setenv(name, str(root / name))
    patch.setenv("nnUNet_n_proc_DA", "0")
    patch.setenv("nnUNet_compile", "f")
    # a spawned worker imports torch and nnU-Net for seconds before it does anything
    threads = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    patch.setattr(default_preprocessor, "multiprocessing", threads)


def anchor_plans(planned):
    return read_json(planned.cascade.plans("anchor", PLANS))


def trainer_of(planned, trainer=SOARSAnchorTrainer, branch="anchor", plans=None):
    plans = plans or read_json(planned.cascade.plans(branch, PLANS))
    plans["continue_training"] = False  # nnU-Net's run_training adds it
    dataset_json = read_json(planned.cascade.preprocessed(branch) / "dataset.json")
    return trainer(plans, CONFIGURATION, 0, dataset_json, torch.device("cpu"))
