"""A VOI's channels."""

from __future__ import annotations

import numpy as np
import torch

from soars_nnunet.geometry.grid import Box, Grid
from soars_nnunet.geometry.voi import crop_box, sample_on_box
from soars_nnunet.images.network_frame import AIR_HU


def voi_input(ct_hu: np.ndarray, heatmaps: np.ndarray | torch.Tensor, grid: Grid, box: Box) -> torch.Tensor:
    """Channels of a VOI: CT crop in HU (air outside the image) and heat-map crops.

    Args:
        ct_hu: (1, Z, Y, X) on the image grid.
        heatmaps: (T, z, y, x) on the detection network's grid.
        grid: Where that grid lies.
        box: VOI in image voxels.

    Returns:
        (1 + T, box) float32 on the heat maps' device.
    """
    sampled = sample_on_box(heatmaps, grid, box)
    return torch.cat((torch.from_numpy(crop_box(ct_hu, box, AIR_HU)).to(sampled), sampled))
