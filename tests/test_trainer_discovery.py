import os
import shlex
import subprocess
import sys

from soars_nnunet.cli import env

NAMES = ("SOARSAnchorTrainer", "SOARSMidLevelTrainer", "SOARSDetectionTrainer", "SOARSSmallHardTrainer")

SEARCH = """
import pickle
from importlib import import_module
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find

names = {names}
modules = {{"anchor": "anchor", "midlevel": "mid_level", "detection": "detection", "smallhard": "small_hard"}}
for name, module in zip(names, modules):
    trainer = find(name)
    ours = getattr(import_module("soars_nnunet.training." + module), name)
    assert trainer is ours, (trainer, ours)
    assert trainer.__module__ == "soars_nnunet.training." + module
    assert pickle.loads(pickle.dumps(trainer)) is ours
    assert trainer.branch == modules[module]
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
        [sys.executable, "-c", SEARCH.format(names=NAMES)],
        env={**clean, variable: folder, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("all found")
    for name in NAMES:
        assert f"Using trainer '{name}' from: {folder}" in done.stdout
