"""Which branches are planned, and what their plans say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planning.cases import PLANS, anchor_plans, options

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.planning.plan import plan
from soars_nnunet.planning.planned_settings import mirror_order


def test_guided_branches_wait_and_say_for_what(planned):
    assert planned.keys == ["anchor"]
    waiting = [line for line in planned.said if "waits for" in line]
    assert [line.split(":")[0] for line in waiting] == ["MidLevel", "Detection", "SmallHard"]
    assert "out-of-fold output of Anchor" in waiting[0] and "soars-channels" in waiting[0]
    assert "out-of-fold output of Detection" in waiting[2]
    assert any("nnUNetv2_train 421 3d_fullres 0 -tr SOARSAnchorTrainer" in line for line in planned.said)
    for branch in ("mid_level", "detection", "small_hard"):
        assert not planned.cascade.plans(branch, PLANS).exists()


def test_default_plans_have_a_second_name_by_which_nnunet_does_not_take_them_for_its_old_ones(planned):
    plans, copy = planned.cascade.plans("anchor", PLANS), planned.cascade.training_plans("anchor")
    assert copy.name == "SOARSPlans.json" and copy.read_bytes() == plans.read_bytes()
    assert any("-tr SOARSAnchorTrainer -p SOARSPlans" in line for line in planned.said)


def test_only_waiting_branches_is_an_error(planned):
    with pytest.raises(InputError, match="no branch could be planned"):
        plan(planned.cascade, options(), ["mid_level"])


@pytest.mark.parametrize("kind", ["imagesTr/phantom_001_0000", "labelsTr/phantom_001"])
def test_a_source_file_that_was_cut_or_is_gone_is_named(planned, kind):
    path = planned.root / "nnUNet_raw" / planned.cascade.source / f"{kind}.nii.gz"
    content = path.read_bytes()
    try:
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(MissingArtifactError, match=f"1 that changed since .*{kind}.nii.gz"):
            plan(planned.cascade, options(), ["anchor"])
        path.unlink()
        with pytest.raises(InputError, match="none of 1 case.s. .phantom_001."):
            plan(planned.cascade, options(), ["anchor"])
    finally:
        path.write_bytes(content)


def test_cases_that_were_left_out_are_told(planned):
    said = []
    cascade = replace(planned.cascade, left_out={"phantom_009": "cut"})
    plan(cascade, options("num_epochs=7", "anchor.batch_size=3"), ["anchor"], said.append)
    assert said[0] == f"warning: {cascade.source}: stratified without phantom_009"


def test_unknown_branch_is_named(planned):
    with pytest.raises(ValueError, match="--branches: expected some of anchor, mid_level, .*, got anchors"):
        plan(planned.cascade, options(), ["anchors"])


def test_plans_load_in_nnunet_and_build_phnn(planned):
    manager = PlansManager(str(planned.cascade.plans("anchor", PLANS)))
    configuration = manager.get_configuration(CONFIGURATION)
    assert manager.transpose_forward == [0, 1, 2]
    assert manager.image_reader_writer_class is SimpleITKIOWithReorient
    assert configuration.normalization_schemes == ["CTNormalization"]
    assert configuration.spacing == [9.0, 9.0, 9.0] and configuration.batch_size == 3
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        10,
        deep_supervision=True,
    )
    assert isinstance(network, PHNN)
    assert [block[0].kernel_size for block in network.blocks[:1]] == [(1, 3, 3)]
    outputs = network(torch.zeros(1, 1, *configuration.patch_size))
    assert [tuple(output.shape) for output in outputs] == [(1, 10, *configuration.patch_size)] * 4


def test_overrides_reach_the_plans_of_their_branch(planned):
    soars = PlansFile(anchor_plans(planned)).configuration["soars"]
    assert (soars["num_epochs"], soars["batch_size"], soars["regime"]) == (7, 3, "demo")
    assert soars["channel_names"] == {"0": "CT"} and soars["guidance"] == []


def test_plans_name_the_partner_of_every_class_and_channel(planned):
    profile = planned.cascade.profile
    settings = PlansFile(anchor_plans(planned)).configuration["soars"]
    names = ["background", *(name for name, _ in branch_labels(planned.cascade, "anchor"))]
    assert settings["mirror"]["channels"] == [0]
    partners = {name: names[index] for name, index in zip(names, settings["mirror"]["classes"], strict=True)}
    assert partners["Eye_L"] == "Eye_R" and partners["Eye_R"] == "Eye_L" and partners["Brainstem"] == "Brainstem"
    targets = ["CT", *profile.targets]
    order = mirror_order(targets, profile)
    assert [order[index] for index in order] == list(range(len(targets))) and order[0] == 0
    for target, index in zip(targets[1:], order[1:], strict=True):
        sides = {profile.mirrored(organ.name) for organ in profile.targets[target]}
        assert {profile.by_name[name].target for name in sides} == {targets[index]}
    assert mirror_order(["CT", "Eye_L", "Brainstem"], profile) is None


def test_mirroring_needs_both_sides(planned):
    labels = {name: label for name, label in planned.cascade.labels.items() if name != "Eye_R"}
    one_sided = replace(planned.cascade, labels=labels)
    path = one_sided.raw("anchor") / "dataset.json"
    before = read_json(path)
    names = ["background", *(name for name, _ in branch_labels(one_sided, "anchor"))]
    try:
        write_json(path, {**before, "labels": {name: value for value, name in enumerate(names)}})
        with pytest.raises(InputError, match="p_mirror: expected both sides"):
            plan(one_sided, options("p_mirror=0.5"), ["anchor"])
    finally:
        write_json(path, before)


def test_manifest_tells_no_names_or_paths(planned):
    text = planned.cascade.manifest(PLANS).read_text()
    manifest = json.loads(text)
    assert list(manifest["branches"]) == ["anchor"]
    assert len(manifest["branches"]["anchor"]["classes"]) == 9
    for secret in ("phantom_0", "imagesTr", "labelsTr", str(planned.root)):
        assert secret not in text
    model = (planned.cascade.manifest(PLANS).parent / manifest["branches"]["anchor"]["model"]).resolve()
    assert model == planned.cascade.model("anchor", PLANS).resolve()


def test_mid_level_without_guidance_needs_no_channels(planned):
    assert plan(planned.cascade, options(guidance="none", plans_name="ctonly"), ["mid_level"]) == ["mid_level"]
    configuration = PlansFile.read(planned.cascade.plans("mid_level", "ctonly")).configuration
    assert configuration["normalization_schemes"] == ["CTNormalization"]
    assert configuration["architecture"]["arch_kwargs"]["genotype"] == ["2D3", "P3D5", "2D3", "P3D5"]
    assert not planned.cascade.plans("mid_level", PLANS).exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("iterations_per_epoch=null", "^iterations_per_epoch=null: expected patches_per_volume beside it"),
        ("search_iterations_per_epoch=null", "^search_iterations_per_epoch=null: expected patches_per_volume"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(planned, override, message):
    before = planned.cascade.plans("anchor", PLANS).read_bytes()
    with pytest.raises(ValueError, match=message):
        plan(planned.cascade, options(override), ["anchor"])
    assert planned.cascade.plans("anchor", PLANS).read_bytes() == before


@pytest.mark.parametrize("spacing", [(9.0, 9.0), (9.0, 9.0, 0.0), (9.0, -1.0, 9.0), (9.0, float("nan"), 9.0)])
def test_unusable_spacing_is_refused(planned, spacing):
    before = planned.cascade.plans("anchor", PLANS).read_bytes()
    with pytest.raises(InputError, match="three positive numbers in mm"):
        plan(planned.cascade, options(spacing_mm=spacing), ["anchor"])
    assert planned.cascade.plans("anchor", PLANS).read_bytes() == before


def test_an_epoch_of_no_given_length_is_a_pass_over_the_patches(planned):
    overrides = ("iterations_per_epoch=null", "patches_per_volume=22", "batch_size=4")
    plan(planned.cascade, options(*overrides, plans_name="passes"), ["anchor"])
    settings = PlansFile.read(planned.cascade.plans("anchor", "passes")).configuration["soars"]
    cases = np.mean([len(split["train"]) for split in planned.cascade.splits()])
    assert settings["iterations_per_epoch"] == np.ceil(cases * 22 / 4)
