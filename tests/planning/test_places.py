"""Where the training cases of each fold have their organs, as plans say it."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import OPTIONS

from soars_nnunet.cascade import stored_cases
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, write_channels
from soars_nnunet.planning.places import learn_places
from soars_nnunet.planning.plan import plan
from soars_nnunet.profile import load_profile
from soars_nnunet.settings.regime import load_regime


def test_planned_reach_is_the_same_on_both_sides(cascade_copy, monkeypatch):
    """An organ on the left reaches as far to the left of its anchors as its partner does to the right."""
    monkeypatch.setattr("soars_nnunet.geometry.reach.MIN_CASES", 1)
    for case in {case for split in cascade_copy.splits() for case in split["train"]}:
        labels = load_preprocessed(cascade_copy.data("anchor", DEFAULT_PLANS), case)[1][0]
        anchors = np.stack([labels == row + 1 for row in range(len(branch_labels(cascade_copy, "anchor")))])
        write_channels(cascade_copy.channels("anchor", DEFAULT_PLANS), case, anchors.astype(np.float16))
    shutil.rmtree(cascade_copy.data("mid_level", DEFAULT_PLANS))
    plan(cascade_copy, replace(OPTIONS, plans_name="Reach"), ["mid_level"])
    soars = PlansFile.read(cascade_copy.plans("mid_level", "Reach")).configuration["soars"]
    partners = [row - 1 for row in soars["mirror"]["channels"][1:]]
    assert partners != list(range(len(partners)))
    for reach in soars["reach"]:
        assert sum(span is not None for span in reach) > 3
        for span, row in zip(reach, partners, strict=True):
            if span is None:
                assert reach[row] is None
                continue
            (low, high), (other_low, other_high) = span, reach[row]
            assert low[:2] == other_low[:2] and high[:2] == other_high[:2]
            assert low[2] == pytest.approx(-other_high[2])


PLACES_OF_ANCHORS = ((10, 10, 10), (20, 10, 12), (10, 14, 20), (22, 15, 8))
SPACING_MM = (2.0, 3.0, 4.0)


def planted_case(shift_x):
    """(CT and four anchors, labels): one target at each side, the left one so many voxels further to the left."""
    data, labels = np.zeros((5, 30, 24, 60), np.float32), np.zeros((1, 30, 24, 60), np.int16)
    for channel, place in zip(data[1:], PLACES_OF_ANCHORS, strict=True):
        channel[tuple(slice(p - 2, p + 3) for p in place)] = 0.9
    labels[0, 12, 11, 30 + shift_x] = 1
    labels[0, 12, 11, 15] = 2
    return data, labels, {}


@pytest.fixture
def planted(nnunet_folders, monkeypatch):
    """Detection planned on two folds: the first trains on cases of shift 0 to 3, the second on those of 4 to 7."""
    cases = [f"case{shift}" for shift in range(8)]
    names = {"anchor": "Dataset071_T_Anchor", "detection": "Dataset073_T_Detection"}
    cascade = Cascade("Dataset007_T", load_profile("hn42"), names, {"Ear_Internal_L": 1, "Ear_Internal_R": 2})
    splits = [{"train": cases[:4], "val": cases[4:]}, {"train": cases[4:], "val": cases[:4]}]
    for branch in cascade.datasets:
        write_json(cascade.preprocessed(branch) / "splits_final.json", splits)
    settings = replace(load_regime("demo", "detection"), channel_names={"0": "CT"}, guidance=("a", "b", "c", "d"))
    configuration = {"spacing": list(SPACING_MM), "soars": settings.to_json()}
    intensities = {"0": {"mean": -500.0, "std": 150.0, "percentile_00_5": -500.0, "percentile_99_5": 1000.0}}
    plans = {"plans_name": DEFAULT_PLANS, "configurations": {CONFIGURATION: configuration}}
    plans["foreground_intensity_properties_per_channel"] = intensities
    write_json(cascade.plans("detection", DEFAULT_PLANS), plans)
    read = {case: planted_case(shift) for shift, case in enumerate(cases)}
    monkeypatch.setattr(stored_cases, "load_preprocessed", lambda folder, case: read[case])
    return cascade


def test_each_fold_learns_from_its_own_training_cases(planted):
    learn_places(planted, "detection", DEFAULT_PLANS)
    settings = PlansFile.read(planted.plans("detection", DEFAULT_PLANS)).settings
    medians = [15 + np.median([0, 1, 2, 3]), 15 + np.median([4, 5, 6, 7])]
    assert [list(fold[0]) for fold in settings.sides] == [[0, 1, 4.0 * voxels] for voxels in medians]
    for fold, furthest in zip(settings.reach, (33, 37), strict=True):
        assert len(fold) == len(PLACES_OF_ANCHORS)
        for span, (z, y, x) in zip(fold, PLACES_OF_ANCHORS, strict=True):
            low, high = [[12 - z, 11 - y, 15 - x], [12 - z, 11 - y, furthest - x]]
            np.testing.assert_allclose(span, [np.multiply(low, SPACING_MM), np.multiply(high, SPACING_MM)])


def test_without_guidance_detection_learns_its_sides_alone(planted):
    path = planted.plans("detection", DEFAULT_PLANS)
    plans = PlansFile.read(path)
    plans.configuration["soars"] |= {"guidance": [], "channel_names": {"0": "CT"}}
    write_json(path, plans.contents)
    learn_places(planted, "detection", DEFAULT_PLANS)
    settings = PlansFile.read(path).settings
    assert settings.reach == () and [len(fold) for fold in settings.sides] == [1, 1]


@pytest.mark.parametrize("branch", ["anchor", "small_hard"])
def test_plans_of_other_branches_stay_as_they_are(cascade_copy, branch):
    path = cascade_copy.plans(branch, DEFAULT_PLANS)
    before = path.read_bytes()
    learn_places(cascade_copy, branch, DEFAULT_PLANS)
    assert path.read_bytes() == before
