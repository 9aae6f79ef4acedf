"""The keys in docs/reference/file-formats.md are those of the files and of the classes that are written to them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import soars_nnunet
from soars_nnunet.cascade.record import DEFAULT_PLANS, GUIDANCE_FACTS, Cascade
from soars_nnunet.cascade.storage import provenance, read_json
from soars_nnunet.evaluation.evaluation_file import to_document
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.guidance.detections import DetectionScore
from soars_nnunet.networks.genotype import KINDS, genotype_entry
from soars_nnunet.prediction.postprocess import ComponentEffect, write_postprocessing
from soars_nnunet.prediction.report import OrganRow, Report, TargetRow
from soars_nnunet.profile import Organ, load_profile

PAGE = Path(soars_nnunet.__file__).parents[1] / "docs" / "reference" / "file-formats.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="needs a checkout with docs/")


def section(heading):
    text = PAGE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found


def tables(heading):
    """Keys in the first column of each table of a section, a list a table."""
    found = []
    for block in re.split(r"\n\s*\n", section(heading)):
        rows = [line for line in block.splitlines() if line.startswith("| `")]
        if rows:
            keys = set()
            for row in rows:
                keys |= set(re.findall(r"`([^`]+)`", row.split("|")[1]))
            found.append(keys)
    return found


def names(kind):
    return {field.name for field in fields(kind) if not field.name.startswith("_")}


def words(heading):
    return set(re.findall(r"`(\w+)`", section(heading)))


def test_the_record_of_a_cascade(untrained_cascade):
    assert tables("soars_cascade.json") == [set(read_json(Cascade.path(untrained_cascade.source)))]


def test_remembered_options(untrained_cascade):
    assert set(read_json(untrained_cascade.options(DEFAULT_PLANS))) <= words("soars_options_PLANS.json")


def test_the_manifest(untrained_cascade):
    manifest = read_json(untrained_cascade.manifest(DEFAULT_PLANS))
    branch, target = manifest["branches"]["anchor"], next(iter(manifest["targets"].values()))
    organ = next(iter(manifest["anatomy"].values()))
    assert tables("manifest.json") == [set(manifest), set(branch), set(target), set(organ)]


def test_guidance(untrained_cascade):
    folder = untrained_cascade.channels("detection", DEFAULT_PLANS)
    assert set(GUIDANCE_FACTS) | names(DetectionScore) <= words("Guidance")
    there = {path.name for path in folder.iterdir() if path.suffix in (".json", ".csv")}
    (documented,) = tables("Guidance")
    assert there == documented - {"CASE.b2nd"}


def test_genotypes():
    entry = genotype_entry([[1 / 6] * len(KINDS)] * 4, {})
    (documented,) = tables("genotype.json")
    assert set(entry) <= documented


def test_postprocessing(tmp_path):
    path = write_postprocessing(tmp_path / "manifest.json", [ComponentEffect("Larynx", 1, 0.5, 0.6)], {}, {})
    assert tables("postprocessing.json") == [set(read_json(path))]
    assert names(ComponentEffect) <= words("postprocessing.json")


def test_the_prediction_report():
    assert tables("Prediction report") == [names(Report) | {"sha256"}]
    assert names(OrganRow) | names(TargetRow) <= words("Prediction report")


def test_the_evaluation():
    (documented,) = tables("evaluation.json")
    written = set(to_document(Evaluation(()))) - {"provenance"}
    assert documented == written


def test_profiles():
    assert tables("Profile") == [set(load_profile("hn42").to_dict()), names(Organ)]


def test_provenance():
    assert set(provenance()) <= words("Provenance")
