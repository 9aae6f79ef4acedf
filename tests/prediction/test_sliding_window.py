"""Sliding window against a float64 brute force and nnU-Net's tile positions."""

import numpy as np
import pytest
import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

from soars_nnunet.prediction.sliding_window import BACKGROUND_LOGIT, sliding_windows, tiles
from soars_nnunet.prediction.tiling import Tile
from soars_nnunet.settings.regime import load_regime

CPU = torch.device("cpu")
TILE = Tile((8, 8, 8), (0.5, 0.5, 0.5))


class Positional(torch.nn.Module):
    """Its output depends on the voxel's place in the tile, so that overlapping tiles disagree."""

    def forward(self, image):
        ramp = torch.linspace(-1, 1, image[0, 0].numel()).reshape(image.shape[2:])
        return torch.stack((image[:, 0] * ramp, image.sum(1) + ramp**2), dim=1)


@pytest.mark.parametrize("shape", [(20, 13, 17), (8, 8, 8), (5, 30, 8)])
@pytest.mark.parametrize("steps", [(0.5, 0.5, 0.5), (0.25, 1.0, 0.75)])
def test_equals_brute_force(shape, steps):
    data = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    patch, network = (8, 8, 8), Positional()
    (output,) = sliding_windows(network, [data], 2, Tile(patch, steps), device=CPU)
    low = [max(0, 8 - extent) // 2 for extent in shape]
    padded = np.zeros((3, *(max(8, extent) for extent in shape)), np.float32)
    inside = tuple(slice(lo, lo + extent) for lo, extent in zip(low, shape, strict=True))
    padded[(slice(None), *inside)] = data.numpy()
    weights = compute_gaussian(patch, 1 / 8, 10, torch.float64, CPU).numpy()
    total, weight = np.zeros((2, *padded.shape[1:])), np.zeros(padded.shape[1:])
    positions = [
        compute_steps_for_sliding_window((extent,), (8,), step)[0]
        for extent, step in zip(padded.shape[1:], steps, strict=True)
    ]
    for z in positions[0]:
        for y in positions[1]:
            for x in positions[2]:
                box = (slice(z, z + 8), slice(y, y + 8), slice(x, x + 8))
                tile = torch.from_numpy(padded[(slice(None), *box)])[None]
                total[(slice(None), *box)] += network(tile)[0].double().numpy() * weights
                weight[box] += weights
    expected = (total / weight)[(slice(None), *inside)]
    np.testing.assert_allclose(output.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_tiles_cover_everything_with_the_strides_of_the_paper():
    steps = load_regime("paper", "anchor").step_size
    assert [round(width * step) for width, step in zip((64, 128, 128), steps, strict=True)] == [32, 96, 96]
    covered = np.zeros((160, 320, 333), bool)
    starts = [set(), set(), set()]
    for box in tiles(covered.shape, Tile((64, 128, 128), steps)):
        covered[box] = True
        for axis in range(3):
            starts[axis].add(box[axis].start)
    assert covered.all()
    assert [max(np.diff(sorted(s))) for s in starts] == [32, 96, 69]


@pytest.mark.parametrize("steps", [(0.5, 0.0, 0.5), (0.5, 0.5, 1.5), (0.5,)])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(ValueError, match="step size: expected 3 fractions"):
        sliding_windows(Positional(), [torch.zeros(1, 8, 8, 8)], 2, Tile((8, 8, 8), steps), device=CPU)


class Counting(Positional):
    """Remembers how many tiles it saw, and how many at a time."""

    def __init__(self):
        super().__init__()
        self.batches = []

    @property
    def tiles(self):
        return sum(self.batches)

    def forward(self, image):
        self.batches.append(len(image))
        return super().forward(image)


def test_volumes_share_batches_and_keep_their_outputs():
    shapes = [(8, 8, 8), (5, 8, 7), (12, 8, 8), (8, 9, 8), (8, 8, 3)]
    volumes = [torch.randn(3, *shape, generator=torch.Generator().manual_seed(3)) for shape in shapes]
    options = {"num_outputs": 2, "tile": TILE, "device": CPU}
    network = Counting()
    together = sliding_windows(network, volumes, **options)
    assert network.batches == [4, 3], "1 + 1 + 2 + 2 + 1 tiles"
    for output, volume in zip(together, volumes, strict=True):
        torch.testing.assert_close(output, sliding_windows(Positional(), [volume], **options)[0], rtol=0, atol=0)
    assert sliding_windows(network, [], **options) == []


@pytest.mark.parametrize("shape", [(20, 13, 17), (5, 30, 8)])
def test_what_is_wanted_is_unchanged_and_the_rest_is_background(shape):
    data = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    wanted = torch.zeros(shape, dtype=torch.bool)
    wanted[2:5, 3:6, 4:7] = True
    everything, part = Counting(), Counting()
    (whole,) = sliding_windows(everything, [data], 2, TILE, device=CPU)
    (output,) = sliding_windows(part, [data], 2, TILE, device=CPU, wanted=[wanted])
    torch.testing.assert_close(output[:, wanted], whole[:, wanted], rtol=0, atol=0)
    assert (output[0, ~wanted] == BACKGROUND_LOGIT).all() and (output[1:, :][:, ~wanted] == 0).all()
    assert 0 < part.tiles < everything.tiles


def test_nothing_wanted_runs_nothing():
    network = Counting()
    nothing = torch.zeros(9, 9, 9, dtype=torch.bool)
    (output,) = sliding_windows(network, [torch.zeros(3, 9, 9, 9)], 2, TILE, device=CPU, wanted=[nothing])
    assert network.tiles == 0 and (output[0] == BACKGROUND_LOGIT).all() and (output[1] == 0).all()
