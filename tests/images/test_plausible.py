"""CTs that cannot be those of a head and neck: one table a kind, on a synthetic head in air."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import head, image_of

from soars_nnunet.errors import InputError
from soars_nnunet.images.plausible import check_plausible

SPACING_MM = (2.0, 2.4, 2.7)
"""A head of about 15 x 16 x 14 cm."""


def whole_head():
    """As many voxels as a CT has."""
    return head().repeat(3, 0).repeat(3, 1).repeat(3, 2)


def hu(change=lambda values: values):
    """The head as a CT whose values a function changes."""
    return image_of(change(whole_head().astype(np.float32)), SPACING_MM)


def noise(values):
    return np.random.default_rng(0).uniform(-1000, 2000, values.shape).astype(np.float32)


def shuffled(values):
    return np.random.default_rng(0).permutation(values.ravel()).reshape(values.shape)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda v: v * 10, "as in HU times 10; divide by 10", id="HU x 10"),
        pytest.param(lambda v: np.round(v * 10), "as in HU times 10", id="HU x 10, whole numbers"),
        pytest.param(lambda v: v * 0.1, "as in HU divided by 10; multiply by 10", id="HU x 0.1"),
        pytest.param(lambda v: np.round(v * 0.1), "as in HU divided by 10", id="HU x 0.1, whole numbers"),
        pytest.param(lambda v: -v, "as in negated HU; change the sign", id="HU negated"),
        pytest.param(lambda v: -10 * v, "as in negated HU times 10", id="HU negated x 10"),
        pytest.param(lambda v: v - 1000, "subtracted twice", id="offset twice"),
        pytest.param(noise, "got noise", id="pure noise -1000..2000"),
        pytest.param(lambda v: 300 * noise(v) / 1500, "got noise", id="other noise"),
        pytest.param(shuffled, "got noise", id="a CT's own voxels in another order"),
    ],
)
def test_values_that_are_no_hu_are_refused_with_what_they_look_like(change, said):
    with pytest.raises(InputError, match=said) as caught:
        check_plausible(hu(change), "patient")
    assert str(caught.value).startswith("patient: expected a CT") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda v: v, id="as it is"),
        pytest.param(lambda v: v.clip(-160, 240), id="soft-tissue window"),
        pytest.param(lambda v: v.clip(-500, 1000), id="clipped at -500"),
        pytest.param(lambda v: np.where(v < -900, -3024, v), id="padding of -3024"),
        pytest.param(lambda v: np.where(v > 890, 30000, v), id="metal"),
        pytest.param(lambda v: v + np.random.default_rng(1).normal(0, 60, v.shape).astype(np.float32), id="noisy"),
        pytest.param(lambda v: v[9:51, 12:60, 12:72], id="cropped to the body"),
    ],
)
def test_real_scales_pass_without_a_word(change):
    assert check_plausible(hu(change), "patient") == []


def spaced(factor):
    return tuple(mm * factor for mm in SPACING_MM)


@pytest.mark.parametrize(
    ("spacing_mm", "said"),
    [
        pytest.param(spaced(0.1), "as in cm; multiply the spacing by 10", id="cm"),
        pytest.param(spaced(0.001), "as in m; multiply the spacing by 1000", id="m"),
        pytest.param(spaced(1 / 25.4), "as in inches", id="inches"),
        pytest.param(spaced(10), "as in tenths of a mm; multiply the spacing by 0.1", id="tenths of a mm"),
        pytest.param(spaced(1000), "as in micrometres; multiply the spacing by 0.001", id="micrometres"),
        pytest.param((1.0, 1.0, 1.0), "the spacing was lost", id="1 mm in all directions"),
        pytest.param((200.0, 200.0, 3.0), "expected a body of 110 to 700 mm across", id="5 m wide"),
    ],
)
def test_bodies_of_another_size_are_refused_with_the_likely_unit(spacing_mm, said):
    with pytest.raises(InputError, match=said):
        check_plausible(image_of(whole_head(), spacing_mm), "patient")


def wide_head():
    """As many pixels as scanners make, which the head fills to two thirds."""
    small = head(shape=(60, 16, 16), noise=0.0)
    return np.pad(small, ((0, 0), (4, 4), (4, 4)), constant_values=-1000).repeat(16, 1).repeat(16, 2)


@pytest.mark.parametrize(
    ("array", "spacing_mm", "said"),
    [
        pytest.param(wide_head(), (1.0, 1.0, 1.0), "1 mm in all directions", id="lost, with 384 x 384 pixels"),
        pytest.param(whole_head(), (1.2, 1.2, 1.2), "mm across", id="small"),
        pytest.param(whole_head(), (11.0, 11.0, 3.0), "mm across", id="large"),
        pytest.param(whole_head(), (2.0, 2.4, 0.3), "mm high", id="slices in cm"),
        pytest.param(head(shape=(20, 24, 28)), (1.0, 1.2, 3.0), "few voxels, and expected a body", id="a small part"),
    ],
)
def test_what_is_doubtful_is_said(array, spacing_mm, said):
    (doubt,) = check_plausible(image_of(array, spacing_mm), "patient")
    assert said in doubt


def test_air_is_no_patient():
    with pytest.raises(InputError, match="air alone"):
        check_plausible(image_of(np.full((40, 24, 28), -1000.0) + np.arange(28) / 10, SPACING_MM), "patient")


def test_extents_are_the_patients_whatever_the_order_of_the_axes():
    image = image_of(whole_head(), spaced(0.1))
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        turned = sitk.PermuteAxes(image, order)
        with pytest.raises(InputError, match=r"14\.\d mm high"):
            check_plausible(turned, "patient")
