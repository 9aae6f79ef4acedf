"""Where bundles are looked for."""

import sys
from pathlib import Path

import pytest

from soars_nnunet.bundles import places
from soars_nnunet.bundles.places import VARIABLE, find_bundle, installed_folder, known_bundles
from soars_nnunet.errors import MissingArtifactError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Folder of installed bundles; none are shipped."""
    folder = tmp_path / "installed"
    monkeypatch.setenv(VARIABLE, str(folder))
    monkeypatch.setattr(places, "shipped_folder", lambda: tmp_path / "shipped")
    return folder


def make(folder):
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def test_names_are_of_folders_and_zips_and_an_installed_one_goes_first(installed, tmp_path):
    assert known_bundles() == {}
    shipped = make(tmp_path / "shipped" / "one")
    two = make(installed / "two")
    (installed / "three.zip").write_text("")
    (installed / "notes").mkdir()
    assert known_bundles() == {"one": shipped, "three": installed / "three.zip", "two": two}
    assert find_bundle("one") == shipped
    mine = make(installed / "one")
    assert find_bundle("one") == mine


def test_paths_are_taken_as_they_are(installed, tmp_path, monkeypatch):
    there = make(tmp_path / "there")
    assert find_bundle(there) == there == find_bundle(str(there / "manifest.json"))
    monkeypatch.chdir(tmp_path)
    assert find_bundle("there") == Path("there")
    with pytest.raises(MissingArtifactError, match=r"no bundle 'nowhere'.*\(none\).*zip$"):
        find_bundle("nowhere")
    make(installed / "somewhere")
    with pytest.raises(MissingArtifactError, match=r"\(somewhere\).*; did you mean somewhere\?$"):
        find_bundle("somwhere")


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of this platform")
def test_without_the_variable_the_users_data_folder_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert installed_folder() == tmp_path / "soars_nnunet" / "bundles"
