"""Bundles of the untrained cascade: what is in them, what is not, and what is refused."""

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from soars_nnunet.bundles.make import make_bundle
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.read_facts import EPOCH_VARIABLE, MakeOptions
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.manifest import record_weights
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.options import PredictionOptions

TINY = MakeOptions("tiny", precision="fp32")


@pytest.fixture(scope="module")
def made(untrained_cascade, tmp_path_factory):
    """A folder and a zip of the same cascade, made at the same time by the clock that the environment sets."""
    place = tmp_path_factory.mktemp("made")
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EPOCH_VARIABLE, "1795000000")
        for name in ("folder", "packed.zip", "again", "again.zip"):
            make_bundle(manifest, place / name, TINY, untrained_cascade)
    return place


def change_weights(cascade, change, branch="mid_level", fold=1):
    """Change a checkpoint and write it back, as a training would."""
    path = cascade.model(branch, DEFAULT_PLANS) / f"fold_{fold}" / "checkpoint_final.pth"
    checkpoint = load_checkpoint(path)
    change(checkpoint)
    torch.save(checkpoint, path)
    record_weights(path.parents[1], fold)


def contents(path):
    """Bytes of each file of a folder or zip."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_folder_and_zip_hold_the_same_files(made):
    folder, packed = contents(made / "folder"), contents(made / "packed.zip")
    assert folder == packed
    weights = {
        f"{key}_fold_{fold}.safetensors"
        for key in ("anchor", "mid_level", "detection", "small_hard")
        for fold in (0, 1)
    }
    assert set(folder) == weights | {"manifest.json", "card.md", "card.json"}
    assert open_bundle(made / "packed.zip").described.created == "2026-11-18T11:06:40+00:00"


def test_the_same_input_gives_the_same_bytes(made):
    assert (made / "packed.zip").read_bytes() == (made / "again.zip").read_bytes()
    assert contents(made / "folder") == contents(made / "again")


def test_at_another_time_only_the_times_differ(made, untrained_cascade, tmp_path):
    make_bundle(untrained_cascade.manifest(DEFAULT_PLANS), tmp_path / "later", TINY, untrained_cascade)
    before, after = contents(made / "folder"), contents(tmp_path / "later")
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {"manifest.json", "card.md", "card.json"}
    created = open_bundle(tmp_path / "later").described.created
    assert after["card.md"].decode().replace(created, "2026-11-18T11:06:40+00:00") == before["card.md"].decode()


def test_no_case_name_and_nothing_of_this_computer_is_in_it(made, untrained_cascade):
    root = raw_folder().parent
    secrets = [*untrained_cascade.cases, str(root), root.name, str(Path.home()), os.sep + "tmp", socket.gethostname()]
    assert len(untrained_cascade.cases) == 4 and "phantom_000" in secrets
    for name, content in contents(made / "folder").items():
        found = [secret for secret in secrets if len(secret) > 2 and secret.encode() in content]
        assert not found, name
        assert b".nii" not in content.replace(b'"file_ending": ".nii.gz"', b""), name


def test_the_card_is_in_it_twice(made):
    bundle = open_bundle(made / "folder")
    entries = bundle.card["sections"]["model_basics"]["entries"]
    assert entries["name"] == "tiny" and "not stated" in entries["licence"]
    assert bundle.card_text.startswith("# Model card: tiny\n")
    assert (bundle.described.about.trained_on, bundle.described.about.license) == (
        "4 patients of Tiny",
        "not stated",
    )


PREDICT = """
import os, sys
from pathlib import Path
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.options import PredictionOptions
assert not [name for name in os.environ if name.startswith("nnUNet")]
predict_files(Path("ct.nii.gz"), Path("out"), open_bundle(sys.argv[1]), PredictionOptions(device="cpu"))
"""


@pytest.mark.parametrize("name", ["folder", "packed.zip"])
def test_it_runs_elsewhere_without_datasets_and_variables(made, untrained_cascade, tmp_path, name):
    """Labels are byte-equal to those of the training's folders."""
    moved = tmp_path / "elsewhere" / name
    moved.parent.mkdir()
    (shutil.copytree if (made / name).is_dir() else shutil.copyfile)(made / name, moved)
    ct = raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"
    shutil.copyfile(ct, moved.parent / "ct.nii.gz")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("nnUNet", "SOARS"))}
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(moved)],
        cwd=moved.parent,
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    (expected,) = predict_files(
        moved.parent / "ct.nii.gz", tmp_path / "here", manifest, PredictionOptions(device="cpu")
    )
    assert (moved.parent / "out" / "ct.nii.gz").read_bytes() == expected.read_bytes()


def test_without_the_dataset_the_card_says_what_is_not_known(untrained_cascade, tmp_path):
    bundle = make_bundle(untrained_cascade.manifest(DEFAULT_PLANS), tmp_path / "b.zip", TINY)
    training = bundle.card["sections"]["training"]
    assert training["entries"]["not_annotated"].startswith("not known") and "patients" not in training["tables"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(cascade_copy, tmp_path, value):
    def spoil(checkpoint):
        checkpoint["network_weights"]["score_convs.0.weight"][1] = value

    change_weights(cascade_copy, spoil)
    manifest = cascade_copy.manifest(DEFAULT_PLANS)
    with pytest.raises(MissingArtifactError, match=r"mid_level_fold_1.*finite weights in fp16.*score_convs\.0\.weight"):
        make_bundle(manifest, tmp_path / "out" / "b.zip", MakeOptions("tiny"), cascade_copy)
    assert not list((tmp_path / "out").iterdir()), "nothing half-written stays"


def test_a_fold_of_another_split_is_refused(cascade_copy, tmp_path):
    def split_anew(checkpoint):
        checkpoint["init_args"]["plans"]["configurations"]["3d_fullres"]["soars"]["split_sha256"] = "other"

    change_weights(cascade_copy, split_anew, "detection", 0)
    for cascade in (cascade_copy, None):
        with pytest.raises(MissingArtifactError, match="one split, got another one at detection fold 0;"):
            make_bundle(cascade_copy.manifest(DEFAULT_PLANS), tmp_path / "b", TINY, cascade)


def test_a_bundle_is_replaced_and_anything_else_is_not(made, untrained_cascade, tmp_path):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    full, text, archive = tmp_path / "full", tmp_path / "text", tmp_path / "mine.zip"
    full.mkdir()
    (full / "mine").write_text("mine")
    text.write_text("mine")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("mine", "mine")
    before = archive.read_bytes()
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "manifest.json").write_text('{"format": "of another program"}')
    for path in (full, text, archive, other):
        with pytest.raises(InputError, match="a new path, or a bundle to replace"):
            make_bundle(manifest, path, TINY, untrained_cascade)
    assert (full / "mine").is_file() and (other / "data").is_dir() and text.is_file() and archive.read_bytes() == before
    shutil.copytree(made / "folder", tmp_path / "old")
    shutil.copyfile(made / "packed.zip", tmp_path / "old.zip")
    for name in ("old", "old.zip"):
        make_bundle(manifest, tmp_path / name, MakeOptions("newer"), untrained_cascade)
        assert open_bundle(tmp_path / name).name == "newer"


@pytest.mark.parametrize("name", ["", "Neck", "a b", "../x", "-x", "ä", "neck.", "neck.zip", "con", "x" * 65])
def test_names_are_plain(untrained_cascade, tmp_path, name):
    with pytest.raises(InputError, match="--name: expected up to 64 lower-case"):
        make_bundle(untrained_cascade.manifest(DEFAULT_PLANS), tmp_path / "b", MakeOptions(name), untrained_cascade)


@pytest.mark.parametrize("text", ["fails in phantom_002 only", "{raw}/x", "see {home}"])
def test_texts_that_name_a_case_or_a_path_are_refused(untrained_cascade, tmp_path, text):
    text = text.format(raw=os.environ["nnUNet_raw"], home=Path.home())
    (tmp_path / "card.json").write_text(json.dumps({"known_failures": ["none", text]}))
    options = MakeOptions("tiny", card=tmp_path / "card.json")
    with pytest.raises(InputError, match="without case names and paths"):
        make_bundle(untrained_cascade.manifest(DEFAULT_PLANS), tmp_path / "b", options, untrained_cascade)
    assert not (tmp_path / "b").exists()


def test_what_the_authors_state_travels_on_one_line(untrained_cascade, tmp_path):
    stated = {"licence": "CC-BY-4.0", "data_name": "Our\nclinic", "data_citation": ["A. 2025", "B. 2026"]}
    (tmp_path / "card.json").write_text(json.dumps(stated))
    options = MakeOptions("tiny", card=tmp_path / "card.json")
    about = make_bundle(untrained_cascade.manifest(DEFAULT_PLANS), tmp_path / "b", options).described.about
    assert (about.trained_on, about.license) == ("4 patients of Our clinic", "CC-BY-4.0")
    assert about.citation == "A. 2025; B. 2026"
