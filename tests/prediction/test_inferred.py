"""What the networks found in one CT."""

from types import SimpleNamespace

import SimpleITK as sitk
import torch

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.prediction.inferred import Inference, Voi
from soars_nnunet.prediction.on_grid import OnGrid

GRID = Grid(image_shape=(4, 5, 6), crop=((0, 4), (0, 5), (0, 6)), shape=(2, 2, 2), image_spacing_mm=(1.0, 1.0, 1.0))


def on_gpu():
    """Channels somewhere else, and what they are on the CPU."""
    values = torch.rand(3, 2, 2, 2)
    return OnGrid(SimpleNamespace(cpu=lambda: values), GRID), values


def test_all_that_is_stitched_comes_to_the_cpu():
    (anchor, anchor_values), (voi, voi_values) = on_gpu(), on_gpu()
    box = ((0, 4), (1, 3), (2, 5))
    inference = Inference(
        name="a",
        image=sitk.Image(6, 5, 4, sitk.sitkInt16),
        shape=(4, 5, 6),
        properties={},
        tiers={"anchor": anchor},
        vois=[Voi("ear_l", box, voi), Voi("ear_r", box, voi)],
    )
    inference.to_cpu()
    assert inference.tiers["anchor"].values is anchor_values
    assert [voi.softmax.values for voi in inference.vois] == [voi_values, voi_values]
    assert [(voi.target, voi.box) for voi in inference.vois] == [("ear_l", box), ("ear_r", box)]
