"""Label maps that several tests of geometry read."""

import numpy as np
import pytest


@pytest.fixture(params=[np.uint8, np.int8, np.int16])
def labels(request):
    """(10, 12, 14) with three labels, in signed types also nnU-Net's -1."""
    volume = np.zeros((10, 12, 14), dtype=request.param)
    volume[2:4, 3:7, 5] = 1
    volume[8, 9:11, 2:13] = 2
    volume[5, 5, 5] = 3
    if request.param is not np.uint8:
        volume[0] = -1  # nnU-Net's mark for outside the non-zero region
    return volume
