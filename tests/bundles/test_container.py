"""Files of a folder and a zip; ``test_hostile.py`` has what is refused."""

import os

import pytest
from bundles.damage import pack

from soars_nnunet.bundles.container import FolderContainer, ZipContainer, open_container
from soars_nnunet.errors import MissingArtifactError


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "some"
    made.mkdir()
    (made / "a.txt").write_bytes(b"first")
    (made / "b.md").write_bytes(b"")
    return made


def test_folder_and_zip_hold_the_same(folder, tmp_path):
    one, two = open_container(folder), open_container(pack(folder, tmp_path / "some.zip"))
    assert isinstance(one, FolderContainer) and isinstance(two, ZipContainer)
    for container in (one, two):
        assert container.sizes == {"a.txt": 5, "b.md": 0}
        assert container.read("a.txt", 5) == b"first" and container.read("b.md", 0) == b""
        with pytest.raises(MissingArtifactError, match="a.txt: expected at most 4 bytes, got 5"):
            container.read("a.txt", 4)
        with pytest.raises(MissingArtifactError, match="expected the file c.txt, got none"):
            container.read("c.txt", 4)


def test_a_file_that_grew_or_went_since_is_refused(folder):
    container = open_container(folder)
    (folder / "a.txt").write_bytes(b"longer than before")
    with pytest.raises(MissingArtifactError, match="a.txt: expected 5 bytes, got another number"):
        container.read("a.txt", 100)
    (folder / "a.txt").unlink()
    with pytest.raises(MissingArtifactError, match="a.txt: expected a readable file"):
        container.read("a.txt", 100)


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_file_that_became_a_link_is_refused_and_a_hard_link_is_not(folder, tmp_path):
    os.link(folder / "a.txt", tmp_path / "second")
    container = open_container(folder)
    assert container.read("a.txt", 5) == b"first", "package managers share files by hard links"
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "second")
    with pytest.raises(MissingArtifactError, match="a.txt: expected a readable file"):
        container.read("a.txt", 5)


def test_nothing_is_no_bundle(tmp_path):
    with pytest.raises(MissingArtifactError, match="expected a bundle's folder or zip, got nothing there"):
        open_container(tmp_path / "nowhere")
