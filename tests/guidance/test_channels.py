"""Guided branches get the guiding ones' output: what training sees is what prediction computes."""

from dataclasses import replace
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import OPTIONS
from guidance.sources import ignore, source_files
from nnunetv2.experiment_planning import verify_dataset_integrity

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.guidance import crops as crops
from soars_nnunet.guidance.channels import ChannelOptions, make_channels
from soars_nnunet.guidance.out_of_fold import write_guidance
from soars_nnunet.images.network_frame import to_network_frame
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.planning.plan import plan
from soars_nnunet.prediction.branch_model import BranchModel, guidance

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("branch", "command"),
    [
        ("anchor", "nnUNetv2_train 71 3d_fullres 1 -tr SOARSAnchorTrainer"),
        ("detection", "nnUNetv2_train 73 3d_fullres 1 -tr SOARSDetectionTrainer"),
    ],
)
def test_missing_fold_is_named_with_its_command(cascade_copy, branch, command):
    (cascade_copy.model(branch, DEFAULT_PLANS) / "fold_1" / CHECKPOINT).unlink()
    with pytest.raises(MissingArtifactError) as refused:
        make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    assert "fold(s) [1]" in str(refused.value) and command in str(refused.value)


@pytest.mark.parametrize("order", [("in-sample", "anchor"), ("anchor", "in-sample")])
def test_in_sample_channels_are_of_the_model_that_trained_on_the_case(cascade_copy, order):
    for in_sample in (False, True):
        make_channels(cascade_copy, DEFAULT_PLANS, CPU, ChannelOptions(in_sample=in_sample))
    for guidance_kind in order:  # one must not take the other's files for its own
        variant = replace(OPTIONS, guidance=guidance_kind, plans_name=guidance_kind)
        assert plan(cascade_copy, variant, ["mid_level"]) == ["mid_level"]
    for fold, split in enumerate(cascade_copy.splits()):
        model = BranchModel(ModelFolder(cascade_copy.model("anchor", DEFAULT_PLANS)), [fold], CPU)
        for guidance_kind, side in (("in-sample", "train"), ("anchor", "val")):  # of two folds: the other's validation
            for case in split[side]:
                ct, _, _ = load_preprocessed(cascade_copy.data("anchor", DEFAULT_PLANS), case)
                data, _, _ = load_preprocessed(cascade_copy.data("mid_level", guidance_kind), case)
                torch.testing.assert_close(
                    torch.from_numpy(data[1:]), guidance(model, torch.from_numpy(ct)).half().float()
                )
    settings = [PlansFile.read(cascade_copy.plans("mid_level", name)).configuration["soars"] for name in order]
    assert [settings[order.index(name)].get("in_sample") for name in ("in-sample", "anchor")] == [True, None]


def test_a_label_map_that_changed_since_stratification_is_refused(cascade_copy):
    path = source_files(cascade_copy)["phantom_001"].labels
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MissingArtifactError, match="1 that changed since .*labelsTr/phantom_001.nii.gz"):
        make_channels(cascade_copy, DEFAULT_PLANS, CPU)


def test_raw_channels_make_a_complete_nnunet_dataset(cascade_copy, monkeypatch):
    threaded = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(verify_dataset_integrity, "multiprocessing", threaded)
    make_channels(cascade_copy, DEFAULT_PLANS, CPU, ChannelOptions(raw=True))
    files = source_files(cascade_copy)
    for branch in ("mid_level", "detection"):
        folder = cascade_copy.raw(branch)
        verify_dataset_integrity.verify_dataset_integrity(str(folder), 1)
        dataset_json = read_json(folder / "dataset.json")
        assert dataset_json["numTraining"] == len(dataset_json["dataset"]) == 4
        assert len(dataset_json["channel_names"]) == 10
        for case, entry in dataset_json["dataset"].items():
            paths = [path.replace("$nnUNet_raw", str(raw_folder())) for path in entry["images"]]
            assert len(paths) == 10
            ct = sitk.ReadImage(str(files[case][0]))
            for path in paths[1:]:
                channel = sitk.ReadImage(path)
                assert channel.GetSize() == ct.GetSize()
                for what in ("Spacing", "Origin", "Direction"):
                    np.testing.assert_allclose(getattr(channel, f"Get{what}")(), getattr(ct, f"Get{what}")(), atol=1e-4)
    stored = read_channels(cascade_copy.channels("anchor", DEFAULT_PLANS), "phantom_001").astype(np.float32)
    entry = read_json(cascade_copy.raw("mid_level") / "dataset.json")["dataset"]["phantom_001"]
    for channel, path in zip(stored, entry["images"][1:], strict=True):
        written = to_network_frame(sitk.ReadImage(path.replace("$nnUNet_raw", str(raw_folder()))))[0][0]
        full = torch.nn.functional.interpolate(
            torch.from_numpy(channel)[None, None], size=written.shape, mode="trilinear", align_corners=False
        )
        np.testing.assert_allclose(written, full[0, 0].numpy(), atol=1e-5)


def test_another_split_is_refused(cascade_copy):
    path = cascade_copy.preprocessed("anchor") / "splits_final.json"
    splits = read_json(path)
    write_json(path, splits[::-1])
    with pytest.raises(MissingArtifactError, match="another split than .*splits_final.json"):
        make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    write_json(path, splits)
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, progress=ignore)
