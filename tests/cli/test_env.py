import shlex
from pathlib import Path

import pytest

from soars_nnunet.cli import env


@pytest.mark.parametrize("shell", ["sh", "fish", "powershell"])
def test_env_names_a_folder_with_exactly_one_module(capsys, shell):
    assert env.main(["--shell", shell]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and "nnUNet_extTrainer" in line
    folder = Path(shlex.split(line.replace("=", " "))[-1])
    assert [path.name for path in folder.glob("*.py") if path.name != "__init__.py"] == ["soars_trainers.py"]
    assert [path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"] == []
