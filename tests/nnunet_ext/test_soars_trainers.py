"""The trainers that nnU-Net finds in the folder that ``soars-env`` names."""

import os
import shlex
import subprocess
import sys

from soars_nnunet.branches import BRANCHES as NETWORKS
from soars_nnunet.cli.env import main as env
from soars_nnunet.nnunet_ext import soars_trainers

BRANCHES = {"Anchor": "anchor", "MidLevel": "mid_level", "Detection": "detection", "SmallHard": "small_hard"}
EXPECTED = {
    **{f"SOARS{name}Trainer": (name.lower(), branch) for name, branch in BRANCHES.items()},
    "SOARSBaselineTrainer": ("baseline", "baseline"),
    "SOARSFineTuneTrainer": ("finetune", "fine_tune"),
    **{f"SOARS{name}SearchTrainer": ("search", branch) for name, branch in BRANCHES.items()},
}

SEARCH = """
import pickle
from importlib import import_module
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find

for name, (module, branch) in {expected}.items():
    trainer = find(name)
    ours = getattr(import_module("soars_nnunet.training." + module), name)
    assert trainer is ours, (trainer, ours)
    assert trainer.__module__ == "soars_nnunet.training." + module
    assert pickle.loads(pickle.dumps(trainer)) is ours
    assert trainer.branch == branch
print("all found")
"""


def test_nnunet_finds_the_trainers_in_a_fresh_process(capsys):
    assert env([]) == 0
    line = capsys.readouterr().out
    words = shlex.split(line)
    assert words[0] == "export" and len(words) == 2 and line.count("\n") == 1
    variable, _, folder = words[1].partition("=")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("nnUNet_")}
    done = subprocess.run(
        [sys.executable, "-c", SEARCH.format(expected=EXPECTED)],
        env={**clean, variable: folder, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("all found")
    for name in EXPECTED:
        assert f"Using trainer '{name}' from: {folder}" in done.stdout


def test_the_folder_offers_every_networks_trainer_and_nothing_else():
    offered = {name for name, value in vars(soars_trainers).items() if isinstance(value, type)}
    assert offered == set(soars_trainers.__all__) == set(EXPECTED)
    assert {network.trainer: network.key for network in NETWORKS.values()} == {
        name: branch for name, (module, branch) in EXPECTED.items() if module != "search"
    }
