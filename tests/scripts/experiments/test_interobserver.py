"""scripts/experiments/interobserver.py on a set of two tiny patients in the published layout."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

ROOT = Path(__file__).parents[3]


def write_mask(root, observer, patient, organ, array):
    folder = root / observer / patient / "segmentations"
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing((1.0, 1.0, 2.5))
    sitk.WriteImage(image, str(folder / f"{organ}.nrrd"))


def run(*arguments):
    command = [sys.executable, "-m", "scripts.experiments.interobserver", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)


def test_both_spellings_overlaps_and_what_one_observer_lacks(tmp_path):
    cube = np.zeros((8, 10, 12), bool)
    cube[2:6, 2:8, 2:8] = True
    empty = np.zeros_like(cube)
    for patient, shift in (("p1", 0), ("p2", 1)):
        write_mask(tmp_path, "oncologist", patient, "Parotid-Lt", cube)
        write_mask(tmp_path, "radiographer", patient, "Parotid_Lt", np.roll(cube, shift, 2))
        for observer in ("oncologist", "radiographer"):
            write_mask(tmp_path, observer, patient, "Spinal-Canal", cube)  # overlaps the parotid gland
            write_mask(tmp_path, observer, patient, "Submandibular-Rt", empty)
    write_mask(tmp_path, "oncologist", "p1", "Brain", cube)
    write_mask(tmp_path, "oncologist", "p3", "Brain", cube)
    done = run(tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "p1: only one observer has Brain" in done.stderr
    assert "p2: Submandibular-Rt is empty with both observers" in done.stderr
    with (tmp_path / "out" / "interobserver.csv").open(newline="") as file:
        rows = {(row["patient"], row["organ"]): row for row in csv.DictReader(file)}
    assert list(rows) == [(p, o) for p in ("p1", "p2") for o in ("Parotid-Lt", "Spinal-Canal")]
    assert float(rows["p2", "Parotid-Lt"]["dsc"]) == pytest.approx(5 / 6)
    assert float(rows["p2", "Parotid-Lt"]["hd95_mm"]) == 1.0
    assert "| Parotid-Lt | 2 | 2.85 | 0.917 ± 0.118 | 0.50 ± 0.71 | 1.000 ± 0.000 |" in done.stdout
    assert (tmp_path / "out" / "interobserver.md").read_text() == done.stdout


def test_a_folder_without_patients(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1 and "expected patients of both oncologist and radiographer" in done.stderr
