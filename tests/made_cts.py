"""Small CTs in memory, and images of any geometry."""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage


def head(shape=(20, 24, 28), noise=15.0):
    """A ball of fat, tissue and bone in air, in HU."""
    rng = np.random.default_rng(0)
    grid = np.indices(shape)
    center = (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    radius = np.sqrt((((grid - center) / (center + 0.5)) ** 2).sum(0))
    hu = np.select([radius > 0.9, radius > 0.8, radius > 0.7, radius > 0.65], [-1000, -90, 50, 900], 40)
    hu = ndimage.gaussian_filter(hu.astype(float), 0.7)
    return np.round(hu + rng.normal(0, noise, shape)).astype(np.int16)


def image_of(array, spacing=(1.0, 1.2, 3.0), **geometry):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    if "origin" in geometry:
        image.SetOrigin(geometry["origin"])
    if "direction" in geometry:
        image.SetDirection(np.ravel(geometry["direction"]).tolist())
    return image


def with_values(array, **changes):
    array = array.astype(np.int32)
    if "padding" in changes:
        array[:, :4] = array[:, -4:] = changes["padding"]
    if "metal" in changes:
        array[8:10, 8:10, 8:10] = changes["metal"]
    return array
