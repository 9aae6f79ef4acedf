"""Folders in nnU-Net's environment variables."""

import ast
from pathlib import Path

import pytest

from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder, results_folder, trainer_folder
from soars_nnunet.errors import MissingArtifactError

FOLDERS = {
    "nnUNet_raw": raw_folder,
    "nnUNet_preprocessed": preprocessed_folder,
    "nnUNet_results": results_folder,
}


@pytest.mark.parametrize("variable", FOLDERS)
def test_each_folder_is_that_of_its_variable_now(monkeypatch, variable):
    for path in ("/one", "/two"):
        monkeypatch.setenv(variable, path)
        assert FOLDERS[variable]() == Path(path)


@pytest.mark.parametrize("variable", FOLDERS)
@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named_with_its_command(monkeypatch, variable, value):
    monkeypatch.delenv(variable, raising=False) if value is None else monkeypatch.setenv(variable, value)
    with pytest.raises(MissingArtifactError, match=f"{variable} is not set.*run for example: export {variable}="):
        FOLDERS[variable]()


def test_the_trainer_folder_holds_nothing_but_imports():
    """nnU-Net imports all that lies there, under other names."""
    (module,) = [path for path in Path(trainer_folder()).glob("*.py") if path.name != "__init__.py"]
    statements = ast.parse(module.read_text(encoding="utf-8")).body
    assert all(isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)) for node in statements)
