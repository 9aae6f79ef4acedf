"""Augmentation: which channels it changes, and left and right."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from soars_nnunet.settings.branch_settings import MirrorOrder
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.transforms import (
    AboveFloor,
    DropChannel,
    MirrorSides,
    OnChannels,
    ShiftChannels,
    noise_and_sharpness,
    patch_transforms,
)

PATCH = (12, 14, 16)
STILL = replace(load_regime("demo", "mid_level"), p_scaling=0.0, scaling=(1.0, 1.0))
MIRROR = MirrorOrder(classes=(0, 2, 1, 3), channels=(0, 2, 1, 3))


@pytest.fixture
def patch():
    """CT in the network's range, three guidance channels in 0..1, labels 0 to 3."""
    torch.manual_seed(0)
    coarse = torch.rand(1, 4, 3, 4, 4)
    image = torch.nn.functional.interpolate(coarse, PATCH, mode="trilinear")[0]
    return image, torch.randint(0, 4, (1, *PATCH), dtype=torch.int16)


def augmented(patch, times=1, **settings):
    transforms = patch_transforms(PATCH, None, replace(STILL, **settings))
    results = [transforms(image=patch[0].clone(), segmentation=patch[1].clone()) for _ in range(times)]
    return [(result["image"], result["segmentation"]) for result in results]


def test_without_probabilities_nothing_changes(patch):
    ((image, labels),) = augmented(patch)
    torch.testing.assert_close(image, patch[0], rtol=0, atol=1e-6)
    assert torch.equal(labels, patch[1])


def test_intensities_change_in_the_ct_alone_and_stay_in_range(patch):
    results = augmented(patch, 30, p_intensity=1.0)
    changes = [(image[0] - patch[0][0]).abs().mean() for image, _ in results]
    assert sum(change > 0.005 for change in changes) > 15, "nnU-Net changes most patches"
    assert max(changes) < 0.5 * patch[0][0].std() * 3
    for image, labels in results:
        torch.testing.assert_close(image[1:], patch[0][1:], rtol=0, atol=1e-6)
        assert torch.equal(labels, patch[1]) and image.isfinite().all()


def test_a_constant_ct_survives_the_intensity_transforms(patch):
    flat = torch.cat((torch.full((1, *PATCH), 0.3), patch[0][1:])), patch[1]
    for image, _ in augmented(flat, 20, p_intensity=1.0):
        assert image.isfinite().all() and (image[0] - 0.3).abs().max() < 0.01


def test_noise_and_sharpness_keep_the_mean_hu_and_other_channels(patch):
    """The CT's unit is 150 HU here; its first slices are air at the window's floor, 0."""
    np.random.seed(0)  # the library draws from both
    ct = patch[0][:1] + 3
    ct[:, :5] = 0
    results = augmented((torch.cat((ct, patch[0][1:])), patch[1]), 60, p_noise_sharpness=0.5, hu_per_unit=150.0)
    changes = []
    for image, labels in results:
        changes.append(float((image[0] - ct[0]).abs().mean()))
        assert (image[0][:2] == 0).all() and abs(image[0].mean() - ct.mean()) < 0.06
        torch.testing.assert_close(image[1:], patch[0][1:], rtol=0, atol=1e-6)
        assert torch.equal(labels, patch[1])
    unchanged = sum(change < 1e-6 for change in changes)
    assert 5 < unchanged < 27, "a quarter stays as it is"


def test_noise_has_the_deviation_that_is_asked_for_above_the_floor_alone():
    """The library calls its standard deviation a variance: 10 to 40 HU with a unit of 100 are 0.1 to 0.4."""
    image = torch.full((1, 30, 30, 30), 5.0)
    image[:, :10] = 0
    _, noise = noise_and_sharpness(1.0, 100.0).transforms
    np.random.seed(0)
    deviations = []
    for _ in range(30):
        noisy = noise(image=image.clone())["image"]
        assert (noisy[:, :10] == 0).all()
        deviations.append(float(noisy[:, 10:].std()))
    assert 0.095 < min(deviations) < 0.18 and 0.32 < max(deviations) < 0.41
    flat = torch.full((1, 4, 4, 4), 0.3)
    assert torch.equal(AboveFloor(noise)(image=flat)["image"], flat)


def test_guidance_is_corrupted_and_the_ct_is_not(patch):
    results = augmented(patch, 40, p_guidance_corruption=0.5)
    for image, labels in results:
        torch.testing.assert_close(image[0], patch[0][0], rtol=0, atol=1e-6)
        assert torch.equal(labels, patch[1])
        assert image.min() >= 0 and image.max() <= 1
    changed = [(image[1:] - patch[0][1:]).abs().max() > 1e-3 for image, _ in results]
    dropped = [any(channel.abs().max() == 0 for channel in image[1:]) for image, _ in results]
    assert 20 < sum(changed) < 40 and 8 < sum(dropped) < 32


def test_some_patches_get_no_guidance_at_all(patch):
    results = augmented(patch, 40, p_guidance_dropout=0.5)
    blank = [bool((image[1:] == 0).all()) for image, _ in results]
    assert 8 < sum(blank) < 32
    for (image, labels), without in zip(results, blank, strict=True):
        expected = torch.cat((patch[0][:1], torch.zeros_like(patch[0][1:]))) if without else patch[0]
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)
        assert torch.equal(labels, patch[1])


def test_nothing_to_corrupt_without_guidance(patch):
    ((image, _),) = augmented((patch[0][:1], patch[1]), p_guidance_corruption=1.0, p_guidance_dropout=1.0)
    torch.testing.assert_close(image, patch[0][:1], rtol=0, atol=1e-6)


def test_shift_equals_scipy(patch):
    shift = ShiftChannels(3)
    for _ in range(10):
        offsets = shift.get_parameters(image=patch[0])["offsets"]
        assert offsets.abs().max() <= 3
        shifted = shift._apply_to_image(patch[0], offsets=offsets)
        for channel, offset in enumerate(offsets.numpy()):
            expected = ndimage.shift(patch[0][channel].numpy(), offset, order=0, mode="constant", cval=0)
            np.testing.assert_array_equal(shifted[channel].numpy(), expected)
    far = ShiftChannels(1)._apply_to_image(patch[0], offsets=torch.full((len(patch[0]), 3), 1000))
    assert far.shape == patch[0].shape and not far.any()
    assert ShiftChannels(0)(image=patch[0])["image"].equal(patch[0])


def test_one_channel_is_dropped(patch):
    image = DropChannel()(image=patch[0].clone())["image"]
    assert sum(bool((channel == 0).all()) for channel in image) == 1


def test_wrapper_leaves_the_input_alone(patch):
    before = patch[0].clone()
    image = OnChannels(DropChannel(), slice(1, 2))(image=patch[0])["image"]
    assert torch.equal(patch[0], before) and (image[1] == 0).all() and torch.equal(image[2:], before[2:])


def test_mirroring_swaps_sides_and_undoes_itself(patch):
    mirror = MirrorSides(MIRROR.classes, MIRROR.channels)
    once = mirror(image=patch[0].clone(), segmentation=patch[1].clone())
    flipped = patch[1].flip(-1)
    for label, partner in enumerate(MIRROR.classes):
        assert torch.equal(once["segmentation"] == partner, flipped == label)
    assert torch.equal(once["image"][1], patch[0][2].flip(-1)) and torch.equal(once["image"][0], patch[0][0].flip(-1))
    assert once["segmentation"].dtype == patch[1].dtype
    twice = mirror(**once)
    assert torch.equal(twice["image"], patch[0]) and torch.equal(twice["segmentation"], patch[1])


def test_mirroring_keeps_ignored_voxels_ignored(patch):
    labels = patch[1].clone()
    labels[0, :3] = 4  # the label above the classes
    mirrored = MirrorSides(MIRROR.classes, MIRROR.channels)(image=patch[0].clone(), segmentation=labels)
    assert torch.equal(mirrored["segmentation"] == 4, labels.flip(-1) == 4)


def test_regime_mirrors_half_of_the_patches(patch):
    results = augmented(patch, 60, p_mirror=0.5, mirror=MIRROR)
    mirrored = [not torch.equal(labels, patch[1]) for _, labels in results]
    assert 15 < sum(mirrored) < 45
