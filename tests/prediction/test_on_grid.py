"""Channels and where they lie."""

from types import SimpleNamespace

import torch

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.prediction.on_grid import OnGrid

GRID = Grid(image_shape=(4, 5, 6), crop=((0, 4), (0, 5), (0, 6)), shape=(2, 2, 2), image_spacing_mm=(1.0, 1.0, 1.0))


def test_channels_are_brought_to_the_cpu_and_stay_where_they_lie():
    values = torch.rand(3, 2, 2, 2)
    on_gpu = SimpleNamespace(cpu=lambda: values)
    moved = OnGrid(on_gpu, GRID).to_cpu()
    assert moved.values is values and moved.grid is GRID
