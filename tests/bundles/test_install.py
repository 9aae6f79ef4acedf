"""What installing copies, replaces and refuses."""

import shutil

import pytest

from soars_nnunet.bundles import install, places
from soars_nnunet.bundles.install import install_bundle, list_bundles
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.places import VARIABLE, find_bundle, known_bundles
from soars_nnunet.bundles.write import zip_bundle
from soars_nnunet.errors import InputError, MissingArtifactError


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """Folder of installed bundles, not there yet; the shipped ones are those of a folder beside it."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "data" / "installed"))
    for module in (install, places):
        monkeypatch.setattr(module, "shipped_folder", lambda: tmp_path / "shipped")
    return tmp_path / "data" / "installed"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def renamed(folder, text):
    """Another bundle of the same name: its manifest says something else."""
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("4 phantoms", text))
    return open_bundle(folder)


@pytest.mark.parametrize("as_zip", [False, True])
def test_an_installed_bundle_is_found_by_name(tiny_bundle, installed, tmp_path, as_zip):
    path = tiny_bundle
    if as_zip:
        path = tmp_path / "any_name.zip"
        zip_bundle(tiny_bundle, path)
    done = install_bundle(open_bundle(path))
    assert (done.path, done.was_there, done.shadows) == (installed / "tiny", False, False)
    assert find_bundle("tiny") == installed / "tiny" and names(installed) == ["tiny"]
    assert names(installed / "tiny") == names(tiny_bundle)
    for file in tiny_bundle.iterdir():
        assert (installed / "tiny" / file.name).read_bytes() == file.read_bytes()
    assert install_bundle(open_bundle(path)).was_there


def test_another_bundle_of_the_name_needs_a_word(tiny_bundle, bundle_copy, installed):
    install_bundle(open_bundle(tiny_bundle))
    other = renamed(bundle_copy, "5 phantoms")
    with pytest.raises(InputError, match="no other bundle of the name 'tiny', found one; use --replace"):
        install_bundle(other)
    assert open_bundle("tiny").described.about.trained_on == "4 phantoms"
    install_bundle(other, replace=True)
    assert open_bundle("tiny").described.about.trained_on == "5 phantoms"
    assert names(installed) == ["tiny"]


def test_a_zip_that_somebody_put_there_is_replaced_too(tiny_bundle, bundle_copy, installed):
    installed.mkdir(parents=True)
    zip_bundle(tiny_bundle, installed / "tiny.zip")
    assert install_bundle(open_bundle(tiny_bundle)).path == installed / "tiny.zip", "the same one is there"
    other = renamed(bundle_copy, "5 phantoms")
    with pytest.raises(InputError, match="--replace"):
        install_bundle(other)
    install_bundle(other, replace=True)
    assert names(installed) == ["tiny"]


def test_a_shipped_name_is_hidden_only_on_request(tiny_bundle, installed, tmp_path):
    shipped = shutil.copytree(tiny_bundle, tmp_path / "shipped" / "tiny")
    renamed(shipped, "all phantoms")
    with pytest.raises(InputError, match="'tiny' is the name of a bundle that the package ships"):
        install_bundle(open_bundle(tiny_bundle))
    assert not installed.exists() or not names(installed)
    assert install_bundle(open_bundle(tiny_bundle), replace=True).shadows
    first, second = list_bundles()
    assert (first.shipped, first.note) == (True, "hidden by the installed one")
    assert (second.shipped, second.note) == (False, "hides the shipped one")


def test_a_damaged_bundle_is_not_installed(bundle_copy, installed):
    (bundle_copy / "card.md").write_bytes(b"x" * (bundle_copy / "card.md").stat().st_size)
    with pytest.raises(MissingArtifactError, match="SHA-256"):
        install_bundle(open_bundle(bundle_copy))
    assert not installed.exists() or not names(installed)


def test_what_cannot_be_opened_is_listed_with_the_reason(installed):
    assert list_bundles() == []
    (installed / "broken").mkdir(parents=True)
    (installed / "broken" / "manifest.json").write_text("{")
    (listed,) = list_bundles()
    assert (listed.name, listed.shipped, listed.bundle) == ("broken", False, None)
    assert "manifest.json" in listed.note


def test_what_an_interrupted_installation_left_is_not_listed(tiny_bundle, installed):
    shutil.copytree(tiny_bundle, installed / ".tiny.old")
    assert list_bundles() == [] and known_bundles() == {}
