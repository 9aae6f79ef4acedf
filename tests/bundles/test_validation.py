"""A manifest of a whole cascade is read as it was written; ``test_hostile.py`` has what is refused."""

import pytest

from soars_nnunet.bundles.validation import bundle_manifest
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.strict_json import parse_json


def test_a_manifest_is_read(tiny_bundle):
    content = (tiny_bundle / "manifest.json").read_bytes()
    described = bundle_manifest(parse_json(content, "x"), "x")
    assert (described.name, described.precision, described.about.license) == ("tiny", "fp32", "CC-BY-4.0")
    assert described.branches["anchor"].folds == {0: "anchor_fold_0.safetensors", 1: "anchor_fold_1.safetensors"}
    assert described.files["card.md"].bytes == (tiny_bundle / "card.md").stat().st_size
    assert list(described.branches) == list(described.cascade.branches)


def test_other_json_is_told_from_a_bundle_of_another_version():
    with pytest.raises(MissingArtifactError, match="x: expected the manifest of a bundle, got other JSON; name a"):
        bundle_manifest({"profile": {}, "branches": {}, "targets": {}}, "x")
    with pytest.raises(MissingArtifactError, match="x, format_version: expected 1, got 3; upgrade soars_nnunet"):
        bundle_manifest({"format": "soars-bundle", "format_version": 3, "anything": 1}, "x")


def test_files_beside_the_weights_may_be_texts(tiny_bundle):
    data = read_json(tiny_bundle / "manifest.json")
    data["files"]["LICENSE.txt"] = {"sha256": "0" * 64, "bytes": 3}
    assert "LICENSE.txt" in bundle_manifest(data, "x").files
    data["postprocessing"] = {
        "largest_part": ["Brainstem"],
        "effects": [{"organ": "Brainstem", "n": 3, "dsc": 0.5, "dsc_largest": 0.75}],
        "options": {"mirror": False},
    }
    assert bundle_manifest(data, "x").postprocessing["largest_part"] == ["Brainstem"]
