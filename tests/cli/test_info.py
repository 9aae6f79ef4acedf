import platform
import shutil
from importlib.metadata import version

import pytest

from soars_nnunet import __version__
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.manifest import Manifest, ManifestBranch
from soars_nnunet.cli import info
from soars_nnunet.profile import available_profiles, load_profile


@pytest.fixture
def lines(capsys):
    def run():
        assert info.main([]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def write_cascade(results, name, folds=()):
    """A manifest with one branch, and the checkpoints of its folds."""
    model = f"{name}_Anchor/SOARSAnchorTrainer__nnUNetPlans__3d_fullres"
    for fold in folds:
        (results / model / f"fold_{fold}").mkdir(parents=True)
        (results / model / f"fold_{fold}" / "checkpoint_final.pth").write_bytes(b"")
    profile = load_profile("openkbp7")
    patients = (("0" * 16,),) * 3
    branch = ManifestBranch(model=f"../../{model}", guidance=(), classes=("Brainstem",), training_patients=patients)
    manifest = Manifest(name, "nnUNetPlans", profile, None, {"anchor": branch}, {}, {})
    path = results / name / "SOARS__nnUNetPlans" / "manifest.json"
    path.parent.mkdir(parents=True)
    manifest.write(path)
    return path


def test_versions_come_first(lines):
    assert lines()[:4] == [
        f"soars_nnunet {__version__}",
        f"nnunetv2 {version('nnunetv2')}",
        f"torch {version('torch')}",
        f"Python {platform.python_version()}",
    ]


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(info, "PACKAGES", ("no-such-package",))
    assert "no-such-package is not installed" in info.version_lines()


@pytest.mark.parametrize("name", available_profiles())
def test_every_organ_of_every_profile_is_listed_in_its_tier(lines, name):
    text = " ".join(" ".join(lines()).split())
    profile = load_profile(name)
    assert f"profile {name}: {len(profile.organs)} organs" in text
    for tier in ("anchor", "mid_level", "small_hard"):
        organs = [organ.name for organ in profile.tier(tier)]
        assert not organs or f"{tier} ({len(organs)}): {', '.join(organs)}" in text


def test_trained_cascades_are_listed_and_others_are_not(lines, folders):
    results = folders / "nnUNet_results"
    assert f"trained cascades in {results}: none" in lines()
    write_cascade(results, "Dataset007_Neck", folds=(0, 2))
    write_cascade(results, "Dataset008_Head")
    found = lines()
    assert "  Dataset007_Neck/SOARS__nnUNetPlans: openkbp7; anchor (folds 0 2)" in found
    assert not any("Dataset008" in line for line in found)


def test_a_damaged_manifest_is_named(lines, folders):
    path = write_cascade(folders / "nnUNet_results", "Dataset007_Neck", folds=(0,))
    path.write_text("[]")
    assert any(str(path) in line and "rerun soars-plan" in line for line in lines())


def test_without_a_results_folder(lines, monkeypatch):
    monkeypatch.delenv("nnUNet_results")
    assert "trained cascades: nnUNet_results is not set" in lines()


def test_bundles_are_listed_and_damaged_ones_named(lines, folders, tiny_bundle):
    assert f"bundles: none shipped, none in {folders / 'bundles'}" in lines()
    shutil.copytree(tiny_bundle, folders / "bundles" / "mine")
    shutil.copytree(tiny_bundle, folders / "shipped" / "ours")
    (folders / "shipped" / "ours" / "card.md").unlink()
    found = lines()
    start = found.index("bundles:")
    assert found[start + 1].startswith("  mine: ") and "trained on 4 phantoms; licence CC-BY-4.0" in found[start + 1]
    assert found[start + 2].startswith("  ours: ") and "expected the files card.md" in found[start + 2]


def test_the_trainer_folder_comes_last(lines):
    assert lines()[-1] == f"trainers: {trainer_folder()}"
