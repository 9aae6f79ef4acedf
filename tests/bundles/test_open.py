"""Bundles are opened by path and by name."""

import shutil

import pytest

from soars_nnunet.bundles.open import is_bundle, open_bundle
from soars_nnunet.bundles.places import VARIABLE
from soars_nnunet.bundles.write import zip_bundle
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.errors import MissingArtifactError


def test_a_bundle_is_opened_as_folder_zip_and_by_name(tiny_bundle, tmp_path, monkeypatch):
    zip_bundle(tiny_bundle, tmp_path / "zipped" / "tiny.zip")
    by_folder, by_zip = open_bundle(tiny_bundle), open_bundle(str(tmp_path / "zipped" / "tiny.zip"))
    assert by_folder.described == by_zip.described and by_folder.bundle == by_zip.bundle
    by_zip.verify()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "installed"))
    with pytest.raises(MissingArtifactError, match="no bundle 'tiny'"):
        open_bundle("tiny")
    shutil.copytree(tiny_bundle, tmp_path / "installed" / "tiny")
    assert open_bundle("tiny").path == tmp_path / "installed" / "tiny"


def test_what_is_a_bundle(tiny_bundle, untrained_cascade, tmp_path):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    assert not is_bundle(manifest) and not is_bundle(manifest.parent) and not is_bundle(tmp_path)
    assert is_bundle(tiny_bundle) and is_bundle(tiny_bundle / "manifest.json")
    for name, content in (("a.zip", b""), ("a.bin", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(content)
        assert is_bundle(tmp_path / name), "if a damaged one"
    shutil.copyfile(manifest, tmp_path / "other.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("other.json", "deep.json", "nothing.json"):
        assert not is_bundle(tmp_path / name)


def test_nothing_of_a_folder_that_is_no_bundle_is_to_be_deleted(cascade_copy, tmp_path):
    training = cascade_copy.manifest(DEFAULT_PLANS).parent
    (training / "cross_validation").mkdir()
    documents = tmp_path / "documents"
    (documents / "more").mkdir(parents=True)
    (documents / "my letter.txt").write_text("mine")
    for folder, match in ((training, "got what a training left; name it with -m"), (documents, "manifest.json, got")):
        with pytest.raises(MissingArtifactError, match=match) as refused:
            open_bundle(folder)
        assert "delete" not in str(refused.value)
