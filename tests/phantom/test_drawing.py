"""One ball drawn in slabs, in layers, cut by a plane; and the noise of the CT."""

import numpy as np
import pytest

from soars_nnunet.phantom.anatomy import Layer, Part
from soars_nnunet.phantom.drawing import AIR_HU, JITTER_MM, JITTER_SIZE, NOISE_HU, add_noise, draw_slab, place
from soars_nnunet.phantom.patient_map import PatientMap
from soars_nnunet.phantom.shapes import Shape

EVERYTHING = (slice(None), slice(None), slice(None))
MAPPING = PatientMap(4, (40, 36, 38), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
RADIUS_MM = 20.0


def ball(clip=(), blend_mm=0.0, organ=False, layers=((0.0, 100.0),)):
    shape = Shape.from_dict({"kind": "ellipsoid", "points": [[0, 0, 0]], "radii": [RADIUS_MM] * 3})
    planes = np.array(clip, np.float32).reshape(-1, 4)
    drawn = tuple(Layer(grow_mm, hu) for grow_mm, hu in layers)
    return Part("Ball", (shape,), drawn, planes, blend_mm, organ)


def draw(part, slabs=1):
    item = place(part, MAPPING, seed=4)
    pieces, masks = [], np.zeros(MAPPING.shape, bool)
    for rows in np.array_split(np.arange(MAPPING.shape[0]), slabs):
        slab = slice(int(rows[0]), int(rows[-1]) + 1)
        ct_hu, found = draw_slab([item], MAPPING, slab, voxel_mm=2.0)
        pieces.append(ct_hu)
        for organ in found:
            assert organ.name == "Ball"
            masks[slab][organ.box] |= organ.mask
    return np.concatenate(pieces), masks, item


def radius_mm(centre=(0, 0, 0)):
    coords = np.stack(MAPPING.coords(EVERYTHING), -1)
    return np.linalg.norm(coords - np.asarray(centre), axis=-1)


@pytest.mark.parametrize("slabs", [1, 3, 7])
def test_a_ball_is_where_its_distance_is_negative_and_soft_by_a_voxel(slabs):
    ct_hu, masks, _ = draw(ball(), slabs)
    distance_mm = radius_mm() - RADIUS_MM
    assert not masks.any()
    expected = np.clip(0.5 - distance_mm / 2.0, 0, 1) * (100 - AIR_HU) + AIR_HU
    np.testing.assert_allclose(ct_hu, expected, atol=0.1)


def test_layers_lie_over_each_other_and_planes_cut_them():
    ct_hu, _, _ = draw(ball(clip=[(1, 0, 0, 5)], layers=((0.0, 100.0), (-8.0, -20.0))))
    height_mm = MAPPING.coords(EVERYTHING)[0]
    distance_mm = radius_mm() - RADIUS_MM
    below = height_mm < 5 - 1.1
    np.testing.assert_allclose(ct_hu[(height_mm > 5 + 1.1)], AIR_HU)
    np.testing.assert_allclose(ct_hu[below & (distance_mm < -8 - 1.1)], -20, atol=0.1)
    np.testing.assert_allclose(ct_hu[below & (distance_mm > -8 + 1.1) & (distance_mm < -1.1)], 100, atol=0.1)


def test_an_organ_has_its_own_jitter_and_a_mask():
    _, masks, item = draw(ball(organ=True))
    assert 0 < np.abs(item.shift_mm).max() <= JITTER_MM
    assert 0 < abs(item.size - 1) <= JITTER_SIZE
    distance_mm = radius_mm(item.shift_mm) - RADIUS_MM * item.size
    clear = np.abs(distance_mm) > 1e-3
    np.testing.assert_array_equal(masks[clear], distance_mm[clear] < 0)


def test_what_is_out_of_the_field_of_view_is_not_placed():
    shape = Shape.from_dict({"kind": "ellipsoid", "points": [[900, 0, 0]], "radii": [5, 5, 5]})
    part = Part("Far", (shape,), (Layer(0.0, 50.0),), np.zeros((0, 4), np.float32), 0.0, organ=True)
    assert place(part, MAPPING, seed=4) is None


def test_noise_has_its_deviation_in_whole_hu_and_does_not_depend_on_slabs():
    flat = np.full((12, 80, 90), 40.0, np.float32)
    whole = add_noise(flat, seed=7, first_row=0)
    assert whole.dtype == np.int16
    inner = whole[:, 5:-5, 5:-5].astype(float)
    assert inner.std() == pytest.approx(NOISE_HU, rel=0.05) and inner.mean() == pytest.approx(40, abs=0.3)
    parts = [add_noise(flat[:5], 7, 0), add_noise(flat[5:], 7, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (add_noise(flat, seed=8, first_row=0) != whole).any()
    assert add_noise(flat + 5000, 7, 0).max() == 3071 and add_noise(flat - 5000, 7, 0).min() == -1024
