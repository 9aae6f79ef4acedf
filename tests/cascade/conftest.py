"""An empty nnU-Net environment, and the record of a stratified dataset in it."""

import pytest

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.profile import load_profile


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


@pytest.fixture
def cascade(folders):
    source = "Dataset007_Neck"
    (folders / "nnUNet_raw" / source).mkdir()
    names = {branch.key: f"Dataset07{i}_Neck_{branch.suffix}" for i, branch in enumerate(BRANCHES.values(), 1)}
    made = Cascade(source, load_profile("hn42"), names, {"Brainstem": 3, "OpticNrv_L": 1})
    splits = [{"train": [c for c in "abcd" if c != val], "val": [val]} for val in "abcd"]
    for branch in made.branches:
        write_json(made.preprocessed(branch.key) / "splits_final.json", splits)
    return made
