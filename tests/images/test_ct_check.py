"""What passes as a CT in HU, and what is refused with one line."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import head, image_of, with_values

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct_check import check_ct

ACCEPTED = {
    "int16": head(),
    "float32": head().astype(np.float32) + 0.25,
    **{f"padding {p}": with_values(head(), padding=p) for p in (-1024, -2000, -3024, -32768)},
    **{f"metal {m}": with_values(head(), metal=m) for m in (3071, 32767, 65535)},
    "padding and metal": with_values(head(), padding=-2000, metal=30000),
    "body only, no air": head((40, 40, 40))[11:29, 11:29, 11:29] - 60,
    "body crop with fat": np.where(head() < -150, -100, head()),
    "masked to the body": np.where(head() < -300, -1024, head()),
    "cone beam": np.clip(head(noise=80), -1000, 1500),
    "soft-tissue window": np.clip(head(), -160, 240),
    "mostly padding": np.pad(head(), 6, constant_values=-3024),
    "without noise": np.select([head() < -400, head() > 400], [-1000, 1000], 40).astype(np.int16),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_real_ranges_of_ct_are_accepted(name):
    array = ACCEPTED[name]
    if name == "body only, no air":
        array = np.concatenate([array, np.linspace(-110, 400, array[:1].size).reshape(array[:1].shape)])
        assert array.min() > -200
    image = image_of(array)
    assert check_ct(image, "case") is image


def noise(kind, **kwargs):
    rng = np.random.default_rng(0)
    return getattr(rng, kind)(size=(16, 16, 16), **kwargs)


def poisoned(value):
    array = head().astype(np.float32)
    array[3, 4, 5] = value
    return array


REFUSED = {
    "2D": (sitk.GetImageFromArray(head()[5]), "expected a 3D CT volume, got a 2D image of 28 x 24"),
    "4D": (sitk.JoinSeries([image_of(head())] * 2), "got a 4D image of 28 x 24 x 20 x 2"),
    "RGB": (sitk.GetImageFromArray(np.stack([head()] * 3, -1), isVector=True), "one HU value a voxel, got 3 comp"),
    "complex": (sitk.GetImageFromArray(head().astype(np.complex64)), "one HU value a voxel"),
    "NaN": (image_of(poisoned(np.nan)), "expected finite HU, got NaN or infinity in 1 voxels"),
    "infinity": (image_of(poisoned(-np.inf)), "expected finite HU"),
    "constant": (image_of(np.full((9, 9, 9), -1000, np.int16)), "got a constant image of -1000"),
    "label map": (image_of(noise("integers", low=0, high=43).astype(np.uint8)), "as in a label map"),
    "float mask": (image_of((noise("random") > 0.5).astype(np.float32)), "as in a label map"),
    "8 bit": (image_of(noise("integers", low=0, high=256).astype(np.uint8)), "as in an 8-bit picture"),
    "normalised": (image_of(noise("random").astype(np.float32)), "as in a normalised image"),
    "z scores": (image_of(noise("normal")), "as in a normalised image"),
    "MR": (image_of(noise("gamma", shape=2, scale=120).astype(np.int16)), "give a CT, not an MR"),
    "air only": (image_of(noise("normal", loc=-1000, scale=20)), "give a CT, not an MR"),
    "absurd": (image_of(poisoned(1e30)), "check the export"),
    "offset 1000": (image_of((head() + 1000).clip(0).astype(np.uint16)), r"stored with an offset.*subtract 1000 \(or"),
    "offset 1024": (image_of(head() + 1024), "subtract 1000"),
    "offset, padded": (image_of(with_values(head() + 1024, padding=-2000)), "subtract 1000"),
    "offset, cropped": (image_of(head()[5:15, 6:18, 7:21] + 1000), "subtract 1000"),
    "thin": (image_of(head()[:7]), r"at least 8 voxels on every axis, got 28 x 24 x 7 \(x, y, z\)"),
    "coarse": (image_of(head(), (1, 1, 21)), "spacing of 0 to 20 mm, got 1 x 1 x 21"),
    "micrometres": (image_of(head(), (976, 976, 2500)), "in mm, which looks like micrometres: multiply by 0.001"),
    "spacing NaN": (image_of(head(), (1, 1, np.nan)), "spacing of 0 to 20 mm"),
    "sheared": (image_of(head(), direction=[1, 0.3, 0, 0, 1, 0, 0, 0, 1]), "perpendicular axes"),
    "scaled axis": (image_of(head(), direction=[2, 0, 0, 0, 1, 0, 0, 0, 1]), "perpendicular axes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_ct_is_refused_with_one_line(name):
    image, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        check_ct(image, "case_7")
    text = str(caught.value)
    assert text.startswith("case_7: expected ") and "\n" not in text and ", got " in text and "; " in text
