"""The sentences by which image files are refused, and what a header says of the voxels behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.images.entry import shown

MAX_VOXELS = 2**31
"""Four times a CT of 1000 slices of 700 x 700; a header that announces more is wrong, or made to fill memory."""

MAX_COMPRESSION = 1100
"""Gzip makes a file at most 1032 times smaller."""

MAX_EXPANSION = 1.01
"""Gzip makes what cannot be compressed hardly larger: five bytes in 16,384."""

SLACK_BYTES = 1 << 20
"""What a compressed file may hold beside its voxels: names, comments, padding of an archive."""

PADDING_BYTES = 511
"""Bytes behind the voxels that are padding to a block of 512, and no voxels; less where a slice has fewer."""


def damaged(path: Path, reason: str) -> InputError:
    """The refusal of a file that is damaged or cut."""
    return InputError(
        f"{shown(path)}: expected a readable image file, got a damaged or truncated one ({reason}); "
        "copy or convert it again from its source"
    )


def refused(path: Path, expected: str, got: str, action: str) -> InputError:
    """The refusal of a file whose header cannot be used."""
    return InputError(f"{shown(path)}: expected {expected}, got {got}; {action}")


@dataclass(frozen=True)
class Voxels:
    """What a header announces, and where it should be.

    Attributes:
        size: Voxels along each axis.
        voxel_bytes: Of one, all its components.
        offset: Bytes in front of the first, in the file that holds them (decompressed); None where they end it.
        compressed: Whether that file is compressed by deflate.
    """

    size: Sequence[int]
    voxel_bytes: int
    offset: int | None
    compressed: bool

    @property
    def count(self) -> int:
        """Voxels."""
        count = 1
        for length in self.size:
            count *= length
        return count

    @property
    def end(self) -> int:
        """Bytes up to the end of the last voxel."""
        return (self.offset or 0) + self.count * self.voxel_bytes

    @property
    def padding(self) -> int:
        """Bytes that may follow: fewer than any slice has."""
        slices = [self.count // length * self.voxel_bytes for length in self.size]
        return min(PADDING_BYTES, min(slices) - 1)

    def check_held(self, path: Path, held: int) -> None:
        """Check the size of the file that should hold the voxels.

        Args:
            path: Named in the message.
            held: Bytes of the file, as it lies on the disk.

        Raises:
            InputError: If it has too few bytes for them, more than they can take, or they are more than any CT's.
        """
        shape = " x ".join(map(str, self.size))
        if min(self.size) < 1:
            raise damaged(path, f"its header announces {shape} voxels")
        least, most = self.end, self.end + self.padding
        if self.compressed:
            least //= MAX_COMPRESSION
            most = int(self.end * MAX_EXPANSION) + SLACK_BYTES
        elif self.offset is None:
            most = self.end + SLACK_BYTES
        if held < least:
            raise damaged(path, f"{held} of {self.end} bytes")
        if self.count > MAX_VOXELS:
            raise refused(path, f"at most {MAX_VOXELS} voxels", shape, "check the header's sizes, or crop the image")
        if held > most:
            raise self.too_long(path, held)

    def too_long(self, path: Path, held: int) -> InputError:
        """The refusal of a file with more than its voxels."""
        shape = " x ".join(map(str, self.size))
        return refused(
            path,
            f"{self.end} bytes for the {shape} voxels of its header",
            f"{held} or more",
            "the header's sizes are wrong or something else was appended; copy or convert it again from its source",
        )
