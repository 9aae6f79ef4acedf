"""The manifest's form on disk is what ``docs/reference/bundles.md`` says."""

import json

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.storage import read_json

KEYS = ["format", "format_version", "name", "created", "precision", "about", "cascade", "branches"]
KEYS += ["postprocessing", "files"]


def test_the_manifest_is_written_as_it_is_read(tiny_bundle):
    data = read_json(tiny_bundle / "manifest.json")
    assert list(data) == KEYS and (data["format"], data["format_version"]) == ("soars-bundle", 1)
    assert data["about"] == {"trained_on": "4 phantoms", "license": "CC-BY-4.0", "citation": "Nobody et al."}
    assert json.loads(json.dumps(Bundle(tiny_bundle).described.to_json())) == data


def test_nothing_in_it_names_a_place_or_a_case(tiny_bundle, untrained_cascade):
    text = (tiny_bundle / "manifest.json").read_text()
    assert "/" not in text.replace("CT/", "").replace("sec. ", "").split('"branches"')[1].split('"cascade"')[0]
    for case in untrained_cascade.cases:
        assert case not in text
