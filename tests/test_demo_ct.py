"""The real CT of demo.sh: what lies in the repository, and that the network which segments it did not train on it."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import check_same_grid, read_label_map

ROOT = Path(__file__).parents[1]
CASE = "openkbp_233"
FOLDER = ROOT / "demo" / CASE
CT, LABELS = FOLDER / "images" / f"{CASE}_0000.nii.gz", FOLDER / "labels" / f"{CASE}.nii.gz"
MAX_BYTES = 1_500_000
"""Of the folder: everybody who clones the repository downloads it."""
MODEL = "openkbp7"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs a checkout with demo/")


def test_the_ct_is_a_small_published_one_on_the_grid_of_its_contours():
    ct = read_ct(CT)
    assert (ct.GetSize(), ct.GetPixelID()) == ((128, 128, 128), sitk.sitkInt16)
    check_same_grid(read_label_map(LABELS), CT, str(LABELS))
    assert sitk.GetArrayFromImage(ct).min() == -1024
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < MAX_BYTES


def test_six_organs_are_drawn_and_the_mandible_is_not():
    present = set(np.unique(sitk.GetArrayFromImage(read_label_map(LABELS))).tolist())
    names = read_json(FOLDER / "dataset.json")["labels"]
    assert {name for name, label in names.items() if label not in present} == {"Bone_Mandible"}
    assert present <= set(names.values())


def test_the_scan_starts_with_the_brain_stem_at_its_upper_edge():
    """Nearly nothing of the patient lies above the brain stem's contour, so neither eyes nor forehead do."""
    body = sitk.GetArrayFromImage(read_ct(CT)) > -900
    labels = sitk.GetArrayFromImage(read_label_map(LABELS))
    top = np.flatnonzero((labels == 1).any((1, 2))).max()
    assert body[top + 1 :].sum() < 200 < body[top].sum()


def test_the_licence_and_the_citation_lie_beside_it():
    assert "MIT License" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "Babier" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_network_of_the_demo_did_not_train_on_the_patient():
    script = (ROOT / "scripts" / "demo.sh").read_text(encoding="utf-8")
    (fold,) = re.findall(r"--folds \"\$\{DEMO_FOLD:-(\d)\}\"", script)
    manifest = shipped_manifest()
    patient = set(name_hashes({CASE}))
    for branch, facts in manifest.branches.items():
        folds = range(len(facts.training_patients))
        unseen = [other for other in folds if not patient & manifest.trained_on(branch, [other])]
        # the others did: the patient is known by this name
        assert unseen == [int(fold)]


def shipped_manifest():
    """Manifest of the model that ships; skips where there is none."""
    try:
        return importlib.import_module("soars_nnunet.bundles.open").open_bundle(MODEL).manifest
    except (ModuleNotFoundError, MissingArtifactError) as error:
        pytest.skip(f"no bundle {MODEL} is shipped: {error}")
