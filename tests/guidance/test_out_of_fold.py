"""Stored guidance is of the fold that did not train on the case, and as fresh as what it is made from."""

import numpy as np
import torch
from guidance.sources import source_files, train_again

from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS
from soars_nnunet.cascade.stored_cases import read_channels
from soars_nnunet.guidance import crops as crops
from soars_nnunet.guidance.out_of_fold import write_guidance
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import to_network_frame
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.prediction.branch_model import BranchModel, guidance

CPU = torch.device("cpu")


def test_stored_guidance_is_what_prediction_computes(untrained_cascade):
    """For every case and the fold that validates on it; the other fold's would differ."""
    cascade, files = untrained_cascade, source_files(untrained_cascade)
    anchors = [BranchModel(ModelFolder(cascade.model("anchor", DEFAULT_PLANS)), [fold], CPU) for fold in (0, 1)]
    seen = []
    for fold, split in enumerate(cascade.splits()):
        detection = BranchModel(ModelFolder(cascade.model("detection", DEFAULT_PLANS)), [fold], CPU)
        for case in split["val"]:
            ct, grid = anchors[fold].preprocess(*to_network_frame(read_ct(files[case][0])))
            own, other = (guidance(anchor, ct) for anchor in (anchors[fold], anchors[1 - fold]))
            stored = torch.from_numpy(read_channels(cascade.channels("anchor", DEFAULT_PLANS), case)).float()
            assert stored.shape == (9, *grid.shape)
            assert (own - stored).abs().max() < 1 / 255
            assert (other - stored).abs().max() > 0.1
            # nnU-Net sums windows in half precision, whose steps are coarse in the volume's corners
            exact, rounded = (guidance(detection, torch.cat((ct, anchor))) for anchor in (own, own.half().float()))
            stored = torch.from_numpy(read_channels(cascade.channels("detection", DEFAULT_PLANS), case)).float()
            assert (rounded - stored).abs().max() < 1 / 255
            assert np.quantile((exact - stored).abs(), 0.99) < 1 / 255
            assert stored.min() >= 0 and 0.3 < stored.max() <= 1
            seen.append(case)
    assert sorted(seen) == sorted(files)


def test_rerun_keeps_finished_cases_and_mends_truncated_ones(cascade_copy):
    folder = cascade_copy.channels("anchor", DEFAULT_PLANS)
    files = sorted(folder.glob("*.b2nd"))
    content = {path: path.read_bytes() for path in files}
    times = {path: path.stat().st_mtime_ns for path in files}
    lines = []
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, progress=lines.append)
    assert len(lines) == 4 and all(line.endswith("(kept)") for line in lines)
    assert times == {path: path.stat().st_mtime_ns for path in files}
    for path, kept in zip(files, (0, 20, 0.5, 0.98), strict=True):
        size = len(content[path])
        path.write_bytes(content[path][: int(kept * size) if kept < 1 else kept])
    lines.clear()
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, progress=lines.append)
    assert not [line for line in lines if "kept" in line]
    assert content == {path: path.read_bytes() for path in files}


def test_new_weights_make_new_channels(cascade_copy):
    folder = cascade_copy.model("anchor", DEFAULT_PLANS)
    train_again(folder / "fold_1" / CHECKPOINT)
    lines = []
    write_guidance(cascade_copy, "anchor", DEFAULT_PLANS, CPU, progress=lines.append)
    assert not [line for line in lines if "kept" in line]
