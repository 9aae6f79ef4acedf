"""Channels of a VOI."""

import numpy as np
import torch

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.images.network_frame import AIR_HU
from soars_nnunet.prediction.vois import voi_input

GRID = Grid(image_shape=(4, 5, 6), crop=((0, 4), (0, 5), (0, 6)), shape=(4, 5, 6), image_spacing_mm=(1.0, 1.0, 1.0))


def test_ct_and_heat_maps_are_cropped_alike_and_there_is_air_outside():
    ct_hu = np.arange(120, dtype=np.float32).reshape(1, 4, 5, 6)
    heatmaps = torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    channels = voi_input(ct_hu, heatmaps, GRID, ((2, 5), (1, 3), (-1, 2)))
    assert channels.shape == (3, 3, 2, 3) and channels.dtype == torch.float32
    inside, on_image = np.s_[:, :2, :, 1:], np.s_[:, 2:4, 1:3, 0:2]
    np.testing.assert_array_equal(channels[:1][inside], ct_hu[on_image])
    torch.testing.assert_close(channels[1:][inside], heatmaps[on_image])
    outside = torch.ones(channels.shape[1:], dtype=torch.bool)
    outside[:2, :, 1:] = False
    assert (channels[0][outside] == AIR_HU).all() and (channels[1:, outside] == 0).all()


def test_without_guidance_there_is_the_ct_alone():
    ct_hu = np.ones((1, 4, 5, 6), np.float32)
    channels = voi_input(ct_hu, torch.zeros(0, 4, 5, 6), GRID, ((0, 4), (0, 5), (0, 6)))
    np.testing.assert_array_equal(channels, ct_hu)
