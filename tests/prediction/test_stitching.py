"""One label volume of what the networks found, against brute force."""

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from prediction.cases import ct_of, full_size

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.images.network_frame import Scan, to_network_frame
from soars_nnunet.prediction.inferred import Inference, Voi
from soars_nnunet.prediction.on_grid import OnGrid
from soars_nnunet.prediction.stitching import precedence_by_label, stitch
from soars_nnunet.profile import Organ, Profile

MARGIN = 1e-4


def brute_force(predictor, inference, shape):
    """Label volume by definition, and where it is decided by more than rounding."""
    organs = predictor.profile.by_name
    labels, probability, rank = np.zeros(shape, int), np.zeros(shape), np.full(shape, -1)
    clear = np.ones(shape, bool)
    proposals = []
    for branch, softmax in inference.tiers.items():
        classes = predictor.manifest.branches[branch].classes
        proposals.append((softmax, [organs[name] for name in classes], (0, 0, 0)))
    for voi in inference.vois:
        classes = predictor.manifest.branches["small_hard"].classes
        own = [organs[name] if organs[name].target == voi.target else None for name in classes]
        proposals.append((voi.softmax, own, tuple(lo for lo, _ in voi.box)))
    for softmax, classes, offset in proposals:
        channel, best, lead = full_size(softmax)
        for index in np.ndindex(*channel.shape):
            voxel = tuple(i + o for i, o in zip(index, offset, strict=True))
            if not all(0 <= v < n for v, n in zip(voxel, shape, strict=True)):
                continue
            clear[voxel] &= lead[index] > MARGIN
            organ = classes[int(channel[index]) - 1] if channel[index] else None
            if organ is None:
                continue
            if organ.precedence == rank[voxel]:
                clear[voxel] &= abs(best[index] - probability[voxel]) > MARGIN
            if (organ.precedence, best[index]) > (rank[voxel], probability[voxel]):
                labels[voxel], probability[voxel], rank[voxel] = organ.label, best[index], organ.precedence
    return labels, clear


@pytest.mark.parametrize("index", [4, 5])
def test_stitched_volume_equals_brute_force(predictor, untrained_cascade, index):
    image = ct_of(untrained_cascade, index)
    inference = predictor.infer(Scan.of(image, "somebody"))
    assert len(inference.vois) >= 8
    expected, clear = brute_force(predictor, inference, inference.shape)
    labels = to_network_frame(predictor.predict(image)[0])[0][0]
    assert clear.mean() > 0.98 and len(np.unique(expected)) > 25
    np.testing.assert_array_equal(labels[clear], expected[clear])
    assert (labels == expected).mean() > 0.999


GRID = Grid(image_shape=(4, 5, 6), crop=((0, 4), (0, 5), (0, 6)), shape=(4, 5, 6), image_spacing_mm=(1.0, 1.0, 1.0))
PROFILE = Profile(
    name="three",
    organs=(
        Organ("Eye_L", 1, "Eye_L", "anchor", precedence=1),
        Organ("Parotid_L", 2, "Parotid_L", "mid_level", precedence=0),
        Organ("Pineal", 3, "Pineal", "small_hard", target="pineal", precedence=2),
        Organ("Pituitary", 4, "Pituitary", "small_hard", target="pituitary", precedence=2),
    ),
)
CLASSES = {"anchor": ("Eye_L",), "mid_level": ("Parotid_L",), "small_hard": ("Pineal", "Pituitary")}
MANIFEST = SimpleNamespace(
    profile=PROFILE, branches={key: SimpleNamespace(classes=classes) for key, classes in CLASSES.items()}
)


def softmax(shape, *regions):
    """Certain of organ i + 1 in the i-th region of slices, of the background elsewhere."""
    values = torch.zeros(len(regions) + 1, *shape)
    for channel, region in enumerate(regions, 1):
        if region is not None:
            values[channel][region] = 1
    values[0] = 1 - values[1:].sum(0)
    return values


def inference_of(vois=()):
    tiers = {
        "anchor": OnGrid(softmax(GRID.shape, np.s_[0:2]), GRID),
        "mid_level": OnGrid(softmax(GRID.shape, np.s_[1:3, :2]), GRID),
    }
    properties = {"spacing": [30.0, 30.0, 30.0]}  # nothing is near
    return Inference("a", sitk.Image(6, 5, 4, sitk.sitkInt16), (4, 5, 6), properties, tiers=tiers, vois=list(vois))


def test_precedence_decides_between_tiers():
    assert precedence_by_label(PROFILE).tolist() == [0, 1, 0, 2, 2]
    done = stitch(inference_of(), MANIFEST, list(PROFILE.by_name), [])
    expected = torch.zeros(4, 5, 6, dtype=torch.uint8)
    expected[1:3, :2] = 2
    expected[0:2] = 1
    assert torch.equal(done.labels, expected)
    assert list(done.tiers) == ["anchor", "mid_level"] and done.tiers["mid_level"].labels[1, 0, 0] == 2


def test_a_voi_proposes_its_own_targets_organs_alone():
    grid = Grid(image_shape=(3, 3, 3), crop=((0, 3),) * 3, shape=(3, 3, 3), image_spacing_mm=(1.0, 1.0, 1.0))
    values = softmax(grid.shape, np.s_[0], np.s_[2])  # the pineal gland, and the pituitary two slices further up
    voi = Voi(target="pineal", box=((1, 4), (3, 6), (-1, 2)), softmax=OnGrid(values, grid))
    done = stitch(inference_of([voi]), MANIFEST, list(PROFILE.by_name), [])
    pineal = torch.zeros(4, 5, 6, dtype=torch.bool)
    pineal[1, 3:5, 0:2] = True  # the part of the VOI's first slice that lies inside the image
    assert torch.equal(done.labels == 3, pineal)
    assert not (done.labels == 4).any()


def test_what_is_not_wanted_is_removed_after_it_has_made_its_claim():
    whole = stitch(inference_of(), MANIFEST, list(PROFILE.by_name), []).labels
    part = stitch(inference_of(), MANIFEST, ["Parotid_L"], []).labels
    assert torch.equal(part, torch.where(whole == 2, whole, 0)), "and leaves no room for others"


def test_small_parts_of_chosen_organs_are_dropped():
    inference = inference_of()
    stray = inference.tiers["anchor"].values
    stray[:, 3, 4, 5] = torch.tensor([0.0, 1.0])
    kept = stitch(inference, MANIFEST, list(PROFILE.by_name), []).labels
    cleaned = stitch(inference, MANIFEST, list(PROFILE.by_name), ["Eye_L"]).labels
    assert kept[3, 4, 5] == 1 and cleaned[3, 4, 5] == 0
    assert torch.equal(cleaned[:3], kept[:3])
