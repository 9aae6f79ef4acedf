"""Folders of nnU-Net, a small source dataset, and a check that a command refuses in one line."""

import json
import logging

import numpy as np
import pytest
from cli.cases import SOURCE, ct_array, write_image

from soars_nnunet.bundles import places
from soars_nnunet.cli import stratify


@pytest.fixture(autouse=True)
def folders(tmp_path_factory, monkeypatch):
    """Empty folders of nnU-Net and of bundles, away from the test's own."""
    place = tmp_path_factory.mktemp("nnunet")
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (place / name).mkdir()
        monkeypatch.setenv(name, str(place / name))
    monkeypatch.setenv(places.VARIABLE, str(place / "bundles"))
    monkeypatch.setattr(places, "shipped_folder", lambda: place / "shipped")
    monkeypatch.setenv("nnUNet_extTrainer", "")  # the commands set it; this puts it back afterwards
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield place
    root.handlers[:] = handlers


@pytest.fixture
def refused(capfd):
    """Runs a command that must fail with one line on stderr; returns the line."""

    def run(command, *arguments):
        code = command([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert code == 2, captured
        assert "Traceback" not in captured.out + captured.err
        lines = captured.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
        return lines[0]

    return run


@pytest.fixture
def source(folders):
    """Two cases with a brainstem and both parotids."""
    labels = np.zeros((12, 14, 16), np.uint8)
    for value, columns in ((1, slice(7, 9)), (2, slice(11, 14)), (3, slice(2, 5))):
        labels[4:8, 4:8, columns] = value
    data = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "Brainstem": 1, "Parotid_L": 2, "Parotid_R": 3},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        "dataset": {},
    }
    folder = folders / "nnUNet_raw" / SOURCE
    for case in ("a", "b"):
        write_image(folder / "imagesTr" / f"{case}_0000.nii.gz", ct_array())
        write_image(folder / "labelsTr" / f"{case}.nii.gz", labels)
        data["dataset"][case] = {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def stratified(source, capfd):
    assert stratify.main(["-d", "42", "-p", "hn42", "--folds", "2"]) == 0
    return capfd.readouterr().out


@pytest.fixture
def manifest(tmp_path):
    """Folder with a manifest: inputs are checked before any model is loaded."""
    (tmp_path / "cascade").mkdir()
    (tmp_path / "cascade" / "manifest.json").write_text("{}")
    return tmp_path / "cascade"
