"""Tiny images for tests of commands."""

import numpy as np
import SimpleITK as sitk

SOURCE = "Dataset042_Neck"


def write_image(path, array, is_vector=False, spacing=None, ending=None):
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    if spacing:
        image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def ct_array(dtype=np.int16):
    ct = np.random.default_rng(0).integers(-100, 100, (12, 14, 16)).astype(dtype)
    ct[:, :3], ct[:, 8:10, 8:10] = -1000, 900
    return ct
