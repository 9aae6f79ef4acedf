"""Which cascade is taken where none, one or several are trained, and a bundle is named or ships."""

import shutil

import pytest

from soars_nnunet.bundles import places
from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.prediction.choosing import choose_cascade


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Empty folder of shipped bundles; none are installed."""
    folder = tmp_path / "shipped"
    monkeypatch.setattr(places, "shipped_folder", lambda: folder)
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "installed"))
    return folder


def choose(dataset=None, models=None, model=None):
    said = []
    return choose_cascade(dataset, models, model, DEFAULT_PLANS, progress=said.append), said


def test_the_only_trained_cascade_goes_before_the_one_that_ships(untrained_cascade, tiny_bundle, shipped):
    shutil.copytree(tiny_bundle, shipped / "openkbp7")
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    for asked in ({}, {"dataset": "7"}, {"models": manifest}, {"models": manifest.parent}):
        chosen, said = choose(**asked)
        assert isinstance(chosen, TrainedCascade) and chosen.path == manifest and not said


def test_a_bundle_is_taken_by_name_and_path_and_told_in_a_line(tiny_bundle, shipped, tmp_path):
    installed = shutil.copytree(tiny_bundle, tmp_path / "installed" / "mine")
    for asked in ({"model": "mine"}, {"model": str(tiny_bundle)}, {"models": installed}):
        chosen, (line,) = choose(**asked)
        assert isinstance(chosen, Bundle)
        assert line.startswith("model tiny: ") and line.endswith("trained on 4 phantoms; licence CC-BY-4.0")
    with pytest.raises(MissingArtifactError, match=r"no bundle 'yours'.*\(mine\)"):
        choose(model="yours")


@pytest.mark.parametrize("is_set", [True, False])
def test_where_none_is_trained_the_one_that_ships_is_taken(tiny_bundle, shipped, tmp_path, monkeypatch, is_set):
    monkeypatch.delenv("nnUNet_results", raising=False)
    if is_set:
        monkeypatch.setenv("nnUNet_results", str(tmp_path))
    missing = "expected exactly one trained cascade" if is_set else "nnUNet_results is not set"
    with pytest.raises(MissingArtifactError, match=f"{missing}.*the bundle openkbp7 is not in this installation"):
        choose()
    shutil.copytree(tiny_bundle, shipped / "openkbp7")
    chosen, (*why, line) = choose()
    assert isinstance(chosen, Bundle) and chosen.path == shipped / "openkbp7" and "licence" in line
    told = f"nnUNet_results={tmp_path}: no trained cascade is there, so the bundle openkbp7 is taken"
    assert why == ([told] if is_set else [])
    with pytest.raises(MissingArtifactError) as refused:
        choose(models=tmp_path)
    assert "openkbp7" not in str(refused.value), "who names a folder wants no other"


def test_a_cascade_that_is_half_trained_is_told_where_the_one_that_ships_is_taken(cascade_copy, tiny_bundle, shipped):
    shutil.copytree(tiny_bundle, shipped / "openkbp7")
    for fold in (0, 1):
        (cascade_copy.model("mid_level", DEFAULT_PLANS) / f"fold_{fold}" / CHECKPOINT).unlink()
    chosen, (why, _) = choose()
    assert isinstance(chosen, Bundle)
    name = f"{cascade_copy.source}/SOARS__{DEFAULT_PLANS}"
    assert why.endswith(f"none of {name} is trained in all branches, so the bundle openkbp7 is taken")
    with pytest.raises(MissingArtifactError, match="name it with -m"):
        choose(model=str(cascade_copy.manifest(DEFAULT_PLANS).parent))


def test_of_several_trained_cascades_one_is_to_be_named(cascade_copy, tiny_bundle, shipped):
    shutil.copytree(tiny_bundle, shipped / "openkbp7")
    folder = cascade_copy.manifest(DEFAULT_PLANS).parent
    shutil.copytree(folder, folder.with_name("SOARS__Other"))
    with pytest.raises(MissingArtifactError, match="found .*Other.*choose with -d ID, -m FOLDER or --model NAME"):
        choose()
