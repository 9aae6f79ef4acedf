"""All branches in one graph: heat maps read inside VOIs, guidance, and branches that stay as they are."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from soars_nnunet.networks.cascade import CascadeNetwork, Vois, sample_heatmaps

TINY = {"genotype": ["2D3", "3D3", "2D3", "3D3"], "features_per_stage": [2, 3, 3, 4], "n_convs_per_stage": [1] * 4}
BRANCHES = {
    "anchor": {"input_channels": 1, "num_classes": 3, **TINY},
    "mid_level": {"input_channels": 3, "num_classes": 4, **TINY},
    "detection": {"input_channels": 3, "num_classes": 3, "constant_background": 0.25, **TINY},
    "small_hard": {"input_channels": 3, "num_classes": 2, **TINY},
}
GUIDED = ("mid_level", "detection", "small_hard")


def vois(count=2, shape=(4, 5, 6), spread=1.5):
    points = torch.full((count, 3, max(shape)), torch.nan)
    for voi in range(count):
        for axis, size in enumerate(shape):
            points[voi, axis, :size] = voi + axis + spread * torch.arange(size)
    ct = torch.randn(count, 1, *shape, generator=torch.Generator().manual_seed(0))
    return Vois(ct, [voi % 2 for voi in range(count)], points)


def test_heatmaps_are_read_at_the_given_points():
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (6, 7, 8)), indexing="ij")
    heatmaps = torch.stack((z, 10 * y, 100 * x))[None].repeat(2, 1, 1, 1, 1)
    heatmaps[1] += 1000
    points = torch.full((2, 3, 4), torch.nan)
    points[0, 0, :2], points[0, 1, :3], points[0, 2, :4] = torch.tensor([1.5, 2]), torch.tensor([0, 2, 4.25]), 1
    points[1] = points[0]
    points[1, 2, :4] = torch.tensor([5, 6, 7, 8.0])
    sampled = sample_heatmaps(heatmaps, Vois(torch.zeros(2, 1, 2, 3, 4), [0, 1], points))
    assert sampled.shape == (2, 3, 2, 3, 4)
    torch.testing.assert_close(sampled[0, :, 1, 2, 3], torch.tensor([2, 42.5, 100]))
    torch.testing.assert_close(sampled[0, :, 0, 1, 0], torch.tensor([1.5, 20, 100]))
    torch.testing.assert_close(sampled[1, :, 0, 0, 1], torch.tensor([1001.5, 1000, 1600]))
    assert (sampled[1, :, :, :, 3] == 0).all()  # outside of the patch


def test_heatmaps_in_vois_are_scipys_linear_interpolation():
    heatmaps = torch.rand(2, 3, 9, 10, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    given = vois(shape=(3, 4, 5), spread=1.3)
    sampled = sample_heatmaps(heatmaps, given)
    for voi, row in enumerate(given.rows):
        axes = [given.points[voi, axis, :size].double().numpy() for axis, size in enumerate((3, 4, 5))]
        coordinates = np.stack(np.meshgrid(*axes, indexing="ij"))
        for channel in range(3):
            expected = map_coordinates(heatmaps[row, channel].numpy(), coordinates, order=1)
            np.testing.assert_allclose(sampled[voi, channel], expected, atol=1e-6)


def build(trained=tuple(BRANCHES), guided=GUIDED, branches=tuple(BRANCHES)):
    torch.manual_seed(0)
    arguments = {key: dict(BRANCHES[key]) for key in branches}
    for key in arguments:
        if key not in guided:
            arguments[key]["input_channels"] = 1
    return CascadeNetwork(arguments, guided, trained)


def test_each_branch_is_fed_by_the_one_that_guides_it():
    network = build().eval()
    network.vois = vois()
    image = torch.randn(2, 1, 8, 9, 10)
    outputs = network(image)
    assert list(outputs) == ["anchor", "mid_level", "detection", "small_hard"]
    anchors = outputs["anchor"][0].softmax(1)[:, 1:]
    guided = torch.cat((image, anchors), 1)
    for key in ("mid_level", "detection"):
        for found, expected in zip(outputs[key], network.branches[key](guided), strict=True):
            torch.testing.assert_close(found, expected)
    heatmaps = outputs["detection"][0][:, 1:].clamp(0, 1)
    channels = torch.cat((network.vois.ct, sample_heatmaps(heatmaps, network.vois)), 1)
    torch.testing.assert_close(outputs["small_hard"][0], network.branches["small_hard"](channels)[0])


def test_without_guidance_or_vois_the_branches_see_the_ct_alone():
    network = build(guided=(), branches=("anchor", "mid_level", "small_hard")).eval()
    image = torch.randn(1, 1, 8, 8, 8)
    outputs = network(image)
    assert list(outputs) == ["anchor", "mid_level"]
    torch.testing.assert_close(outputs["mid_level"][0], network.branches["mid_level"](image)[0])
    network.vois = vois(count=1)
    torch.testing.assert_close(network(image)["small_hard"][0], network.branches["small_hard"](network.vois.ct)[0])


@pytest.mark.parametrize("trained", [("anchor",), ("small_hard",), tuple(BRANCHES)])
def test_only_trained_branches_move_and_gradients_reach_the_anchor_through_all(trained):
    network = build(trained).train()
    network.vois = vois()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    outputs = network(torch.randn(2, 1, 8, 8, 8))
    outputs["small_hard"][0].square().sum().backward()
    for key, branch in network.branches.items():
        assert branch.training == (key in trained)
        gradients = [parameter.grad for parameter in branch.parameters() if parameter.grad is not None]
        reached = key in trained and key != "mid_level"  # which nothing depends on
        assert any(gradient.abs().sum() > 0 for gradient in gradients) == reached
        moved = [
            name
            for name, value in branch.state_dict().items()
            if not torch.equal(value, before[f"branches.{key}.{name}"])
        ]
        assert bool(moved) == (key in trained), "running statistics"
    assert not network.eval().branches["anchor"].training
