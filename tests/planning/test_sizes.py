import numpy as np
import pytest

from soars_nnunet.planning.sizes import choose_size
from soars_nnunet.settings.regime import load_regime

PAPER_PATCH = (64, 128, 128)
PAPER_MM = load_regime("paper", "anchor").max_patch_mm


def poolings(size):
    return tuple(int(n) for n in np.log2(np.prod(size.strides, axis=0)))


def test_the_papers_patch_at_the_papers_spacing():
    size = choose_size((360, 512, 512), (1.9, 0.95, 0.95), PAPER_PATCH, PAPER_MM)
    assert size.patch == PAPER_PATCH
    assert size.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert "64 x 128 x 128" in size.reason and "Z: regime, Y: regime, X: regime" in size.reason


def test_thick_slices_are_pooled_later():
    size = choose_size((60, 512, 512), (5.0, 0.95, 0.95), PAPER_PATCH, PAPER_MM)
    assert poolings(size)[1:] == (3, 3) and poolings(size)[0] < 3
    assert size.strides[1] == (1, 2, 2)
    assert "Z: extent" in size.reason  # 45 of its 60 slices


def test_downsampled_public_data_is_bound_by_the_extent_in_plane():
    size = choose_size((128, 128, 128), (2.5, 4.7, 4.7), PAPER_PATCH, PAPER_MM)
    assert size.patch == (64, 48, 48)
    assert "Z: regime, Y: extent, X: extent" in size.reason
    assert choose_size((128, 128, 128), (2.5, 4.7, 4.7), PAPER_PATCH, 200).patch == (64, 40, 40)


def test_coarse_volume_does_not_get_a_patch_of_the_whole_body():
    size = choose_size((128, 128, 128), (4.0, 4.0, 4.0), PAPER_PATCH, PAPER_MM)
    assert size.patch == (56, 56, 56)
    assert choose_size((128, 128, 128), (4.0, 4.0, 4.0), PAPER_PATCH, None).patch == PAPER_PATCH


def test_tiny_image_is_bound_by_the_image_and_keeps_four_voxels():
    size = choose_size((20, 20, 20), (4.0, 4.0, 4.0), PAPER_PATCH, PAPER_MM)
    assert size.patch == (20, 20, 20) and poolings(size) == (2, 2, 2)
    assert "Z: image, Y: image, X: image" in size.reason
    assert choose_size((21, 20, 23), (4.0, 4.0, 4.0), PAPER_PATCH, None).patch == (24, 20, 24)
    assert poolings(choose_size((4, 4, 4), (4.0, 4.0, 4.0), PAPER_PATCH, None)) == (0, 0, 0)


def test_without_limits_the_patch_holds_the_largest_image():
    size = choose_size((43, 139, 70), (1.9, 0.95, 0.95), None)
    total = np.prod(size.strides, axis=0)
    assert size.patch == tuple(np.ceil(np.array((43, 139, 70)) / total) * total)
    assert choose_size((43, 139, 70), (1.0, 1.0, 1.0), None, 64.0).patch == (48, 64, 64)


def test_too_thin_image_is_refused():
    with pytest.raises(ValueError, match="at least 4 voxels"):
        choose_size((3, 64, 64), (3.0, 1.0, 1.0), PAPER_PATCH)


def test_patch_fits_strides_image_and_regime_for_any_geometry():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        shape = tuple(rng.integers(4, 400, 3).tolist())
        spacing = tuple(rng.uniform(0.4, 8, 3).tolist())
        regime = tuple(rng.integers(16, 160, 3).tolist())
        extent = [None, 150.0, PAPER_MM][rng.integers(3)]
        size = choose_size(shape, spacing, regime, extent)
        case = f"{shape} {spacing} {regime} {extent} -> {size}"
        patch, total = np.array(size.patch), np.prod(size.strides, axis=0)
        assert len(size.strides) == 4 and size.strides[0] == (1, 1, 1), case
        assert not (patch % total).any(), case
        assert (patch // total >= 4).all(), case
        padded = np.ceil(np.array(shape) / total) * total
        assert (patch <= padded).all(), case
        # only an image that is itself smaller may be rounded up beyond the regime
        assert ((patch <= regime) | (patch == padded)).all(), case
        if extent is not None:
            assert (patch * spacing <= extent + total * spacing).all(), case
