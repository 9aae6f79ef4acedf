"""Channels and preprocessed cases on disk."""

import os

import blosc2
import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.stored_cases import (
    load_preprocessed,
    preprocessing_record,
    read_channels,
    write_channels,
)
from soars_nnunet.errors import MissingArtifactError


def test_channels_are_read_back_in_half_precision(tmp_path):
    channels = np.random.default_rng(0).random((3, 4, 5, 6), np.float32).transpose(0, 3, 2, 1)
    write_channels(tmp_path / "new", "a", channels)
    assert os.listdir(tmp_path / "new") == ["a.b2nd"]
    stored = read_channels(tmp_path / "new", "a")
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, channels.astype(np.float16))


def test_channels_are_replaced_as_a_whole(tmp_path):
    for value, size in ((1, 8), (2, 3)):
        write_channels(tmp_path, "a", np.full((1, size, size, size), value))
    assert os.listdir(tmp_path) == ["a.b2nd"]
    np.testing.assert_array_equal(read_channels(tmp_path, "a"), np.full((1, 3, 3, 3), 2))


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_absent_and_damaged_channels_are_named_with_their_command(tmp_path, content):
    if content is not None:
        (tmp_path / "a.b2nd").write_bytes(content)
    with pytest.raises(MissingArtifactError, match=r"channels of a: expected a readable .*a\.b2nd; run soars-channels"):
        read_channels(tmp_path, "a")


def test_preprocessed_cases_are_what_nnunet_reads(tmp_path):
    data, seg = np.random.default_rng(0).random((2, 4, 5, 6), np.float32), np.ones((1, 4, 5, 6), np.int16)
    pieces = {"chunks": data.shape, "blocks": data.shape, "chunks_seg": seg.shape, "blocks_seg": seg.shape}
    nnUNetDatasetBlosc2.save_case(data, seg, {"spacing": [1, 2, 3]}, str(tmp_path / "a"), **pieces)
    found = load_preprocessed(tmp_path, "a")
    np.testing.assert_array_equal(found[0], data)
    np.testing.assert_array_equal(found[1], seg)
    assert found[2] == {"spacing": [1, 2, 3]} and isinstance(found[0], np.ndarray)


def test_the_record_lies_among_the_cases_where_nnunet_does_not_see_it(cascade):
    path = preprocessing_record(cascade, "anchor", DEFAULT_PLANS)
    assert path.is_relative_to(cascade.data("anchor", DEFAULT_PLANS))
    assert path.parent != cascade.data("anchor", DEFAULT_PLANS)


def test_a_flipped_bit_never_gives_other_values(tmp_path):
    channels = np.random.default_rng(0).random((2, 6, 7, 8)).astype(np.float16)
    channels[:, 4:] = 0
    write_channels(tmp_path, "a", channels)
    path = tmp_path / "a.b2nd"
    content = path.read_bytes()
    refused = 0
    for bit in np.random.default_rng(1).choice(8 * len(content), 80, replace=False):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_channels(tmp_path, "a"), channels)
        except MissingArtifactError:
            refused += 1
    assert refused > 40


def test_channels_of_an_older_version_have_no_hash_and_are_read(tmp_path):
    blosc2.asarray(np.ones((1, 2, 2, 2), np.float16), urlpath=str(tmp_path / "a.b2nd"), mode="w")
    np.testing.assert_array_equal(read_channels(tmp_path, "a"), np.ones((1, 2, 2, 2)))


def test_channels_that_do_not_read_back_get_no_name(tmp_path, monkeypatch):
    write_channels(tmp_path, "a", np.ones((1, 2, 2, 2)))
    monkeypatch.setattr("soars_nnunet.cascade.stored_cases._read", lambda path: np.zeros((1, 2, 2, 2), np.float16))
    with pytest.raises(OSError, match="expected to read back"):
        write_channels(tmp_path, "a", np.full((1, 2, 2, 2), 2))
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a.b2nd"] and (read_channels(tmp_path, "a") == 1).all()
