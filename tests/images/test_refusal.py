"""Files that hold fewer or more bytes than their header announces."""

from pathlib import Path

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.images.refusal import MAX_VOXELS, SLACK_BYTES, Voxels, damaged, refused

PATH = Path("case.nii")


def test_sentences_name_file_fault_and_remedy():
    assert str(damaged(PATH, "cut")).startswith(
        "case.nii: expected a readable image file, got a damaged or truncated one"
    )
    assert str(refused(PATH, "a", "b", "c")) == "case.nii: expected a, got b; c"


@pytest.mark.parametrize(
    ("held", "good"), [(2352 - 1, False), (2352, True), (2352 + 199, True), (2352 + 200, False), (30 * 2**30, False)]
)
def test_raw_voxels_take_their_bytes_and_less_than_a_slice_more(held, good):
    voxels = Voxels((10, 10, 10), 2, 352, compressed=False)
    assert voxels.count == 1000 and voxels.end == 2352
    check(voxels, held, good)


@pytest.mark.parametrize(
    ("held", "good"), [(1, False), (2352 // 1000, True), (2400, True), (3000 + SLACK_BYTES, False)]
)
def test_compressed_voxels_take_a_thousandth_to_hardly_more(held, good):
    check(Voxels((10, 10, 10), 2, 352, compressed=True), held, good)


@pytest.mark.parametrize(("held", "good"), [(1999, False), (2000, True), (9000, True), (3000 + SLACK_BYTES, False)])
def test_voxels_at_the_end_of_a_file_may_have_something_in_front(held, good):
    check(Voxels((10, 10, 10), 2, None, compressed=False), held, good)


@pytest.mark.parametrize("size", [(100_000, 100_000, 100_000), (2**11, 2**11, 2**9 + 1)])
def test_more_voxels_than_any_ct_has_are_refused(size):
    voxels = Voxels(size, 1, 0, compressed=False)
    assert voxels.count > MAX_VOXELS
    check(voxels, voxels.end, good=False)


def check(voxels, held, good):
    if good:
        voxels.check_held(PATH, held)
        return
    with pytest.raises(InputError):
        voxels.check_held(PATH, held)
