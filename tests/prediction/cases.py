"""CTs, preprocessed cases and volumes that tests of prediction start from."""

import numpy as np
import SimpleITK as sitk
import torch
from torch.nn import functional

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.stored_cases import load_preprocessed

CPU = torch.device("cpu")


def ct_of(cascade, index=4):
    return sitk.ReadImage(str(raw_folder() / cascade.source / "imagesTs" / f"phantom_{index:03d}_0000.nii.gz"))


def first_case(cascade, branch):
    case = cascade.splits(branch)[0]["val"][0]
    return torch.from_numpy(load_preprocessed(cascade.data(branch, DEFAULT_PLANS), case)[0])


def full_size(softmax):
    """Winning channel, its probability and its lead over the second, on the whole image."""
    grid, values = softmax.grid, softmax.values[None].double()
    full = functional.interpolate(values, size=grid.crop_shape, mode="trilinear", align_corners=False)[0]
    best, second = full.topk(2, dim=0)[0]
    arrays = []
    for values, outside in ((full.argmax(0), 0), (best, 1.0), (best - second, 1.0)):
        array = np.full(grid.image_shape, outside, float)
        array[tuple(slice(lo, hi) for lo, hi in grid.crop)] = values.numpy()
        arrays.append(array)
    return arrays
