"""Every file is read, and all that is wrong is said."""

import pytest

from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.verify import check_files


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_sound_bundle_has_no_problem(tiny_bundle):
    checked = list(check_files(open_bundle(tiny_bundle)))
    assert not [file.problem for file in checked if file.problem]
    assert {file.name: file.bytes for file in checked} == {
        path.name: path.stat().st_size for path in tiny_bundle.iterdir() if path.name != "manifest.json"
    }
    first = checked[0]
    assert first.name == "anchor_fold_0.safetensors" and first.content.startswith("weights of anchor, fold 0: ")


@pytest.mark.parametrize("names", [["card.md"], ["detection_fold_1.safetensors", "card.json"]])
def test_every_damaged_file_is_found(bundle_copy, names):
    for name in names:
        damage(bundle_copy / name)
    checked = list(check_files(open_bundle(bundle_copy)))
    assert [file.name for file in checked if file.problem] == names
    assert all("SHA-256" in file.problem for file in checked if file.problem)
