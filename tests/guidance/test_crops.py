"""Crops: where they are cut, what they show, in which fold they are."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import OPTIONS
from guidance.sources import check_crops, ignore, source_files, train_again, true_heatmaps, xyz

from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, NOT_ANNOTATED, TARGET_FACTS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import write_channels
from soars_nnunet.cascade.trained import require_same_split
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.guidance import crops, voi_sizes
from soars_nnunet.guidance.channels import make_channels
from soars_nnunet.guidance.crops import FoundPeak, summarise_peaks, write_crops
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.planning.plan import plan
from soars_nnunet.planning.planned_settings import mean_training_cases

CPU = torch.device("cpu")


@pytest.fixture
def detecting_cascade(cascade_copy):
    """Detection that is 6 mm off to the head in the first case, else right."""
    for index, (case, (_, label)) in enumerate(source_files(cascade_copy).items()):
        heatmaps = true_heatmaps(cascade_copy, case, label)
        if index == 0:
            heatmaps = np.roll(heatmaps, 1, axis=1)
        write_channels(cascade_copy.channels("detection", DEFAULT_PLANS), case, heatmaps)
    return cascade_copy


def test_crops_show_their_source(untrained_cascade):
    check_crops(untrained_cascade)


def test_crops_that_reach_outside_the_scan_are_padded_with_air(cascade_copy, monkeypatch):
    monkeypatch.setattr(voi_sizes, "voi_size_mm", lambda extents: np.full((extents.shape[1], 3), 150.0))
    write_crops(cascade_copy, DEFAULT_PLANS, ignore)
    _, reached_outside = check_crops(cascade_copy)
    assert reached_outside > 10


def test_crops_of_another_detection_are_refused(cascade_copy):
    """A dataset has one set of crops, which a variant's detection may have replaced."""
    for path in (cascade_copy.plans("detection", DEFAULT_PLANS), cascade_copy.model("detection", DEFAULT_PLANS)):
        other = path.with_name(path.name.replace(DEFAULT_PLANS, "Other"))
        shutil.copytree(path, other) if path.is_dir() else write_json(other, read_json(path))
    preprocessed = cascade_copy.data("detection", DEFAULT_PLANS)
    shutil.copytree(preprocessed, preprocessed.with_name(preprocessed.name.replace(DEFAULT_PLANS, "Other")))
    folder = cascade_copy.model("detection", "Other")
    train_again(folder / "fold_1" / CHECKPOINT)
    make_channels(cascade_copy, "Other", CPU)
    with pytest.raises(MissingArtifactError, match="made by another detection than that of nnUNetPlans") as error:
        plan(cascade_copy, OPTIONS, ["small_hard"])
    assert str(error.value).endswith(f"rerun: soars-channels -d {cascade_copy.source}")
    make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    assert plan(cascade_copy, OPTIONS, ["small_hard"]) == ["small_hard"]


def test_sides_share_the_larger_voi_and_the_lower_threshold(detecting_cascade):
    sizes = np.arange(1, 3 * len(detecting_cascade.profile.targets) + 1).reshape(-1, 3) + 30.0
    own, summary = {}, crops.summarise_peaks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voi_sizes, "voi_size_mm", lambda extents: sizes)
        patch.setattr(crops, "summarise_peaks", lambda *of: own.setdefault(len(own), summary(*of)))
        write_crops(detecting_cascade, DEFAULT_PLANS, ignore)
    facts = read_json(detecting_cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    rows = dict(zip(facts, sizes.tolist(), strict=True))
    assert facts["Ear_L"]["size_mm"] == facts["Ear_R"]["size_mm"] == max(rows["Ear_L"], rows["Ear_R"])
    assert facts["Pituitary"]["size_mm"] == rows["Pituitary"]
    lowest = {name: row.low_confidence_below for name, row in zip(facts, own.values(), strict=True)}
    assert lowest["Ear_L"] != lowest["Ear_R"]
    for side in ("Ear_L", "Ear_R"):
        assert facts[side]["low_confidence_below"] == min(lowest["Ear_L"], lowest["Ear_R"])


def test_crop_splits_are_by_patient(untrained_cascade):
    splits = untrained_cascade.splits("small_hard")
    crops = [path.name.removesuffix(".nii.gz") for path in (untrained_cascade.raw("small_hard") / "labelsTr").iterdir()]
    for split, patients in zip(splits, untrained_cascade.splits("anchor"), strict=True):
        for side in ("train", "val"):
            assert {crop.rpartition("__")[0] for crop in split[side]} == set(patients[side])
        assert not set(split["train"]) & set(split["val"])
        assert sorted(split["train"] + split["val"]) == sorted(crops)
    assert sorted(itertools.chain(*(split["val"] for split in splits))) == sorted(crops)


def test_misses_do_not_lower_what_a_peak_must_reach():
    def peak(height, missed=False):
        return FoundPeak(height, np.zeros(3), missed)

    good = [peak(height) for height in np.linspace(0.7, 0.95, 26)]
    assert summarise_peaks(good, np.ones(3)).low_confidence_below == pytest.approx(0.7025)
    facts = summarise_peaks([*good, peak(0.03, missed=True)], np.ones(3))
    assert facts.low_confidence_below == pytest.approx(0.7025)
    assert (facts.missed, facts.cases) == (1, 27)
    # without a good one there is nothing else to go by
    assert summarise_peaks([peak(0.2, True), peak(0.2, True)], np.ones(3)).low_confidence_below == 0.2


def test_the_mean_error_is_that_of_distances():
    peaks = [FoundPeak(0.9, np.array(error), False) for error in ((3.0, 4.0, 0.0), (0.0, 0.0, -1.0))]
    facts = summarise_peaks(peaks, np.array((30.0, 20.0, 10.0)))
    assert (facts.mean_error_mm, facts.size_mm) == (3.0, (30.0, 20.0, 10.0))


def test_crops_are_centred_at_good_peaks_and_at_the_truth_where_peaks_miss(cascade_copy):
    """Most untrained peaks miss; with true heat maps none does, and the crop's middle is the organ's."""
    cascade = cascade_copy
    facts = read_json(cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    assert sum(row["missed"] for row in facts.values()) > 0.8 * sum(row["cases"] for row in facts.values())
    for case, (_, label) in source_files(cascade).items():
        write_channels(cascade.channels("detection", DEFAULT_PLANS), case, true_heatmaps(cascade, case, label))
    write_crops(cascade, DEFAULT_PLANS, ignore)
    facts = read_json(cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    assert sum(row["missed"] for row in facts.values()) == 0, facts
    assert max(row["mean_error_mm"] for row in facts.values()) < 4
    names, _ = check_crops(cascade)
    values = read_json(cascade.raw("small_hard") / "dataset.json")["labels"]
    wholes = {case: xyz(read_label_map(label)) for case, (_, label) in source_files(cascade).items()}
    complete = 0
    for crop in names:
        case, _, target = crop.rpartition("__")
        labels = xyz(sitk.ReadImage(str(cascade.raw("small_hard") / "labelsTr" / f"{crop}.nii.gz")))
        organs = [organ.name for organ in cascade.profile.targets[target]]
        voxels = np.isin(labels, [values[name] for name in organs]).sum()
        complete += voxels == np.isin(wholes[case], [cascade.labels[name] for name in organs]).sum()
    assert complete >= 0.9 * len(names)


def test_a_target_with_an_organ_that_is_not_annotated_keeps_a_crop_for_the_other(detecting_cascade):
    case = list(source_files(detecting_cascade))[1]
    cascade = replace(detecting_cascade, not_annotated={case: ["Cochlea_L"]})
    write_crops(cascade, DEFAULT_PLANS, ignore)
    values = read_json(cascade.raw("small_hard") / "dataset.json")["labels"]
    labels = xyz(sitk.ReadImage(str(cascade.raw("small_hard") / "labelsTr" / f"{case}__Ear_L.nii.gz")))
    assert (labels == values["Ear_Internal_L"]).any() and not (labels == values["Cochlea_L"]).any()
    open_crops = read_json(cascade.preprocessed("small_hard") / NOT_ANNOTATED)
    assert open_crops[f"{case}__Ear_L"] == ["Cochlea_L"]
    facts = read_json(cascade.channels("detection", DEFAULT_PLANS) / TARGET_FACTS)
    assert facts["Ear_L"]["cases"] == facts["Ear_R"]["cases"] - 1


def test_further_crops_of_a_target_train_on_and_go_with_the_next_crops(cascade_copy):
    """Datasets of version 0.1.0 may hold some of a target, for training alone; no model validated on them."""
    splits_path = cascade_copy.preprocessed("small_hard") / "splits_final.json"
    splits, trained_on = read_json(splits_path), cascade_copy.split_hash("small_hard")
    steps = mean_training_cases(cascade_copy, "small_hard")
    further = [{**split, "train": [*split["train"], f"{split['train'][0]}-jitter1"]} for split in splits]
    write_json(splits_path, further)
    assert cascade_copy.splits("small_hard") == further
    require_same_split(cascade_copy, "small_hard", DEFAULT_PLANS)
    assert cascade_copy.split_hash("small_hard") == trained_on
    assert mean_training_cases(cascade_copy, "small_hard") == steps
    assert plan(cascade_copy, OPTIONS, ["small_hard"]) == ["small_hard"]
    make_channels(cascade_copy, DEFAULT_PLANS, CPU)
    assert read_json(splits_path) == splits and cascade_copy.split_hash("small_hard") == trained_on
