"""scripts/experiments/compare_vois.py: the network of the whole CT differs in nothing but what it sees."""

import argparse
from dataclasses import asdict
from pathlib import Path

import pytest

from scripts.experiments import compare_vois
from scripts.experiments.compare_vois import (
    VOI_ARMS,
    WHOLE,
    Arms,
    VoiArm,
    WholeArms,
    make_whole,
    voi_arms,
    whole_options,
)
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.networks.genotype import load_genotypes
from soars_nnunet.profile import Profile
from soars_nnunet.settings.regime import load_regime


def test_the_whole_ct_has_the_settings_spacing_and_genotype_of_the_vois(untrained_cascade, tmp_path):
    planned = PlansFile.read(untrained_cascade.plans("small_hard", DEFAULT_PLANS)).configuration
    settings, options = whole_options(untrained_cascade, DEFAULT_PLANS, tmp_path)
    own, default = (load_regime("demo", "anchor", overrides) for overrides in (settings, ()))
    chosen = [item.partition("=")[0].removeprefix("anchor.") for item in settings]
    values = [own.to_json()[key] for key in chosen]
    assert values == [planned["soars"][key] for key in chosen] != [default.to_json()[key] for key in chosen]
    assert options[:4] == ["--spacing", *map(str, planned["spacing"])]
    genotype = load_genotypes(tmp_path / "genotype_whole.json")["anchor"]["kinds"]
    assert genotype == planned["architecture"]["arch_kwargs"]["genotype"]


def test_the_whole_dataset_has_the_same_cases_and_the_small_hard_organs_alone(cascade_copy, tmp_path):
    profile = Profile.from_dict(read_json(make_whole(cascade_copy, 17, tmp_path)))
    organs = [organ.name for organ in cascade_copy.profile.organs if organ.tier == "small_hard"]
    assert [(o.name, o.tier, o.label) for o in profile.organs] == [(n, "anchor", i) for i, n in enumerate(organs, 1)]
    source, target = raw_folder() / cascade_copy.source, raw_folder() / "Dataset017_Tiny"
    ours, theirs = (training_cases(f.name, read_json(f / "dataset.json")) for f in (target, source))
    assert ours == theirs and len(ours) == 4


def test_rows_are_means_of_annotated_organs_and_distances_of_found_ones(tmp_path):
    vois, whole = Arms.__new__(Arms), WholeArms.__new__(WholeArms)
    vois.output = whole.output = tmp_path
    scores = [("small_hard", 0.5, 2.0), ("small_hard", 0.0, None), ("small_hard", None, None), ("anchor", 1.0, 1.0)]
    rows = []
    for case, (tier, dsc, hd_mm) in zip("abdc", scores, strict=True):
        rows.append(asdict(OrganScore(case, "O", tier, "scored", dsc, hd_mm, None, reference_ml=1.0, predicted_ml=1.0)))
    write_json(vois.evaluation("Voi0"), {"scores": rows})
    assert vois.row("Voi0") == ["25.0", "1 of 2", "2.0"]
    assert whole.row("Voi0") == ["100.0", "0 of 1", "1.0"]
    assert whole.dice("Voi0") == {"O": {"c": 1.0}}


def test_a_genotype_file_is_passed_on_and_plans_of_others_are_not_replaced(cascade_copy, tmp_path):
    options = {"dataset": 7, "device": "cpu", "jobs": 1, "set": [], "plan": [], "folds": [0], "seeds": [0]}
    vois = Arms.__new__(Arms)
    vois.output, vois.options = tmp_path, argparse.Namespace(**options, genotype="mine.json")
    assert vois.genotype() == ["--genotype", "mine.json"]
    vois.options.genotype = None
    assert set(load_genotypes(Path(vois.genotype()[1]))) == {"anchor", "detection", "small_hard"}
    new = argparse.Namespace(**options, genotype="mine.json", output=tmp_path / "new")
    with pytest.raises(SystemExit, match="expected a dataset without mid-level organs"):
        Arms(new)
    record = Cascade.path(cascade_copy.source)
    datasets = {key: name for key, name in cascade_copy.datasets.items() if key != "mid_level"}
    write_json(record, {**read_json(record), "datasets": datasets})
    with pytest.raises(SystemExit, match="has plans; stratify it in nnU-Net folders for this alone"):
        Arms(new)
    assert not (tmp_path / "new").exists()


def test_further_arms_have_heat_maps_and_plans_of_their_own():
    first, second = ["p_guidance_corruption=0.5", "guidance_shift_voxels=3"], ["p_guidance_corruption=0.5"]
    arms = voi_arms([first, second])
    assert arms[:2] == list(VOI_ARMS) == voi_arms([])
    plans = "Voi_p_guidance_corruption_0_5_guidance_shift_voxels_3_"
    assert arms[2] == VoiArm(" ".join(first), plans, "anchor", tuple(first))
    assert len({arm.plans for arm in arms}) == 4


def test_every_arm_is_planned_with_every_seed_and_the_whole_ct_is_the_first(monkeypatch, tmp_path):
    planned = []

    class Runner:
        def __init__(self, name):
            self.name, self.output, self.cascade = name, tmp_path, None
            self.options = argparse.Namespace(name="Run", arm=[["p_mirror=0"]], seeds=[3, 4])

        def genotype(self):
            return ["--genotype", "g.json"]

        def plan(self, plans, branches, settings, plan_options):
            planned.append((self.name, plans, branches, settings, plan_options))

    monkeypatch.setattr(compare_vois, "whole_options", lambda cascade, plans, output: ([f"like={plans}"], ["--x"]))
    variants = compare_vois.plan_variants(Runner("vois"), Runner("whole"))
    assert [(v.arm, v.seed) for v in variants[:3]] == [(WHOLE, 3), (WHOLE, 4), ("CT in VOIs", 3)]
    assert len(variants) == len(planned) == 8
    heat = ("vois", "RunVoiHeat4", ["small_hard"], ["seed=4"], ["--guidance", "anchor", "--genotype", "g.json"])
    assert heat in planned
    assert ("whole", "RunWhole3", ["anchor"], ["like=RunVoiCT3"], ["--x"]) in planned
