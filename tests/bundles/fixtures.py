"""A tiny bundle of the untrained cascade, and copies of it that a test may damage."""

import shutil

import pytest

from soars_nnunet.bundles.format import About
from soars_nnunet.bundles.write import BundleRequest, write_bundle
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.record import DEFAULT_PLANS, MANIFEST
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.model_folder import TrainedCascade

REQUEST = BundleRequest(
    name="tiny",
    about=About(trained_on="4 phantoms", license="CC-BY-4.0", citation="Nobody et al."),
    precision="fp32",
    card={"metadata": {"name": "tiny"}},
    card_text="# tiny\n\nTrained on phantoms.\n",
    created="2026-11-28T12:00:00+00:00",
)


@pytest.fixture(scope="session")
def tiny_bundle(untrained_cascade, tmp_path_factory):
    """Folder of a bundle of all branches, fp32; not to be changed."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(TrainedCascade(untrained_cascade.manifest(DEFAULT_PLANS)), folder, REQUEST)
    return folder


@pytest.fixture
def bundle_copy(tiny_bundle, tmp_path):
    """A copy of its folder."""
    return shutil.copytree(tiny_bundle, tmp_path / "tiny")


@pytest.fixture
def strange_bundle(bundle_copy):
    """A copy of it that was trained on other patients."""
    path = bundle_copy / MANIFEST
    data = read_json(path)
    for branch in data["cascade"]["branches"].values():
        folds = range(len(branch["training_patients"]))
        branch["training_patients"] = [name_hashes([f"stranger_{fold}"]) for fold in folds]
    write_json(path, data)
    return bundle_copy


def exchange_names(folder, one, other):
    """A bundle in which two organs have each other's name."""
    path = folder / "manifest.json"
    parts = path.read_text().replace(f'"{other}"', '"\0"').replace(f'"{one}"', f'"{other}"')
    path.write_text(parts.replace('"\0"', f'"{one}"'))
