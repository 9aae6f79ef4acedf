"""What the text headers of MetaImage (.mha, .mhd) and NRRD files say, and whether it can be trusted.

ITK's readers take 1 mm and an identity for a spacing or orientation that is not told, follow a header's file name
anywhere, and wait for ever on a pipe. No torch here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soars_nnunet.images.entry import require_file, shown
from soars_nnunet.images.refusal import MAX_VOXELS, Voxels, damaged, refused

MAX_HEADER_BYTES = 1 << 20
"""Longest header that is read; those of converters with all their DICOM tags have some 10,000."""

META_TYPES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG": 4,
    "MET_ULONG": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}
"""Bytes of a value by MetaImage's name of its type, as in MetaIO's metaTypes.h."""

NRRD_TYPES = {
    1: "char|signed char|int8|int8_t|uchar|unsigned char|uint8|uint8_t",
    2: "short|short int|signed short|signed short int|int16|int16_t"
    "|ushort|unsigned short|unsigned short int|uint16|uint16_t",
    4: "int|signed int|int32|int32_t|uint|unsigned int|uint32|uint32_t|float",
    8: "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t"
    "|ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t|double",
}
"""NRRD's names of types by the bytes of a value."""

NRRD_SPACES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las")
"""Spaces of NRRD that name the patient's sides."""

NRRD_COMPRESSED = ("gzip", "gz")
NRRD_TEXT = ("ascii", "text", "txt", "hex")
MILLIMETRES = ("mm", "millimeter", "millimeters", "millimetre", "millimetres")
SPATIAL_AXES = 3


@dataclass(frozen=True)
class TextHeader:
    """A header of lines.

    Attributes:
        path: The file.
        fields: Value by name; of NRRD in lower case.
        end: Bytes of the header.
        held: Bytes of the file.
    """

    path: Path
    fields: Mapping[str, str]
    end: int
    held: int

    def numbers(self, *names: str) -> list[float] | None:
        """Numbers of the first of several fields that is there; None without one.

        Raises:
            InputError: If something else is in it.
        """
        for name in names:
            if name in self.fields:
                return self._parsed(name, self.fields[name].split())
        return None

    def whole(self, *names: str) -> list[int]:
        """Whole numbers of a field that must be there.

        Raises:
            InputError: If it is not, or something else is in it.
        """
        found = self.numbers(*names)
        if not found or not all(math.isfinite(number) and number == int(number) for number in found):
            raise damaged(self.path, f"its header has no whole numbers in {names[0]}")
        return [int(number) for number in found]

    def _parsed(self, name: str, words: list[str]) -> list[float]:
        try:
            return [float(word) for word in words]
        except ValueError:
            raise damaged(self.path, f"its header has no numbers in {name}") from None


def check_meta(path: Path) -> None:
    """Check header and size of a MetaImage file, and of the file of voxels that it names.

    Raises:
        InputError: If it is damaged, tells no spacing or orientation, another unit than mm, names a file elsewhere or
            no ordinary one, or announces more or less than there is.
    """
    header = _read_meta(path)
    sizes = header.whole("DimSize")
    voxel_bytes = META_TYPES.get(header.fields.get("ElementType", "").upper().removesuffix("_ARRAY"), 0)
    if not voxel_bytes:
        raise damaged(path, f"its header names no known ElementType ({header.fields.get('ElementType', 'none')})")
    voxel_bytes *= header.whole("ElementNumberOfChannels")[0] if "ElementNumberOfChannels" in header.fields else 1
    compressed = header.fields.get("CompressedData", "").lower() == "true"
    skipped = header.whole("HeaderSize")[0] if "HeaderSize" in header.fields else 0
    source = header.fields["ElementDataFile"]
    if source.upper() in ("LOCAL", ""):
        held, start = header.held, header.end
    else:
        held, start = require_file(_beside(header, source), "the voxels of a MetaImage"), max(0, skipped)
    offset = None if skipped < 0 else 0
    Voxels(sizes, voxel_bytes, offset, compressed).check_held(path, held - start)
    if len(sizes) == SPATIAL_AXES:
        _check_meta_geometry(header)


def check_nrrd(path: Path) -> None:
    """Check header and size of an NRRD file, and of the file of voxels that it names.

    Raises:
        InputError: As ``check_meta``.
    """
    header = _read_nrrd(path)
    sizes = header.whole("sizes")
    voxel_bytes = _nrrd_bytes(header)
    encoding = header.fields.get("encoding", "").lower()
    source = header.fields.get("data file", header.fields.get("datafile"))
    skip = header.whole("byte skip", "byteskip")[0] if {"byte skip", "byteskip"} & set(header.fields) else 0
    lines = header.whole("line skip", "lineskip")[0] if {"line skip", "lineskip"} & set(header.fields) else 0
    if source is None:
        held, start = header.held, header.end
    else:
        held, start = require_file(_beside(header, source), "the voxels of an NRRD file"), 0
    if encoding in NRRD_TEXT:
        if math.prod(sizes) > min(MAX_VOXELS, held):
            raise damaged(path, f"{held} bytes for {math.prod(sizes)} voxels")
    elif encoding in ("raw", *NRRD_COMPRESSED):
        offset = None if skip < 0 or lines else max(0, skip)
        Voxels(sizes, voxel_bytes, offset, encoding in NRRD_COMPRESSED).check_held(path, held - start)
    else:
        raise refused(path, "the encoding raw or gzip", f"'{encoding}'", "save it again as raw or gzip")
    if len(sizes) == SPATIAL_AXES:
        _check_nrrd_geometry(header)


def _read_meta(path: Path) -> TextHeader:
    """Fields of a MetaImage header.

    Raises:
        InputError: If it has no end.
    """
    held = require_file(path)
    fields: dict[str, str] = {}
    end = 0
    for line, end in _lines(path):
        name, separator, value = _parts(line)
        if not separator:
            break
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            return TextHeader(path, fields, end, held)
    raise damaged(path, f"no MetaImage header, or one without its end in the first {end} bytes")


def _read_nrrd(path: Path) -> TextHeader:
    """Fields of an NRRD header.

    Raises:
        InputError: If it is none.
    """
    held = require_file(path)
    fields: dict[str, str] = {}
    end = 0
    for number, (line, end) in enumerate(_lines(path)):
        if number == 0:
            if not line.startswith("NRRD"):
                break
            continue
        if not line:
            return TextHeader(path, fields, end, held)
        name, colon, value = line.partition(":")
        if line.startswith("#") or (colon and value.startswith("=")):
            continue
        fields[name.strip().lower()] = value.strip()
    if end == held and fields.keys() & {"data file", "datafile"}:
        return TextHeader(path, fields, end, held)  # a header that ends with its file
    raise damaged(path, f"no NRRD header, or one without its end in the first {end} bytes")


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Lines of a header, and how many bytes were read by the end of each; they end with the file or a limit."""
    end = 0
    with path.open("rb") as file:
        while end < MAX_HEADER_BYTES:
            line = file.readline(MAX_HEADER_BYTES)
            if not line:
                return
            end += len(line)
            yield line.decode("utf-8", "replace").rstrip("\r\n"), end


def _parts(line: str) -> tuple[str, str, str]:
    """Name, separator (``=`` or ``:``, whichever comes first) and value of a line of a MetaImage header."""
    equals, colon = line.partition("="), line.partition(":")
    return equals if len(equals[0]) <= len(colon[0]) else colon


def _beside(header: TextHeader, source: str) -> Path:
    """The file of voxels that a header names.

    Raises:
        InputError: If it is a list or pattern of files, or does not lie in the header's folder or below.
    """
    if source.upper().startswith("LIST") or "%" in source:
        raise refused(
            header.path,
            "one file of voxels",
            f"several ('{shown(source)}')",
            "save the image in one file, as .nrrd or .mha",
        )
    named = Path(source)
    if named.is_absolute() or ".." in named.parts or re.match(r"[A-Za-z]:|\\", source):
        raise refused(
            header.path,
            "a file of voxels in the header's folder",
            f"'{shown(source)}'",
            "put it beside the header and name it without a path, or save the image in one file",
        )
    return header.path.parent / named


def _nrrd_bytes(header: TextHeader) -> int:
    kind = header.fields.get("type", "").lower()
    for size, names in NRRD_TYPES.items():
        if kind in names.split("|"):
            return size
    raise damaged(header.path, f"its header names no known type ({kind or 'none'})")


def _check_meta_geometry(header: TextHeader) -> None:
    """Check that spacing, in mm, and orientation are told."""
    unit = header.fields.get("DistanceUnits", "mm").lower()
    if unit not in (*MILLIMETRES, "?", "unknown", ""):
        raise refused(header.path, "DistanceUnits = mm", f"'{unit}'", "convert spacing and offset to mm")
    spacing = header.numbers("ElementSpacing", "ElementSize")
    _require_spacing(header, "ElementSpacing", spacing)
    if header.numbers("TransformMatrix", "Rotation", "Orientation") is None:
        raise refused(
            header.path,
            "the orientation of the axes (TransformMatrix)",
            "none",
            "which side is left is not known: convert it again from its source, or write the matrix that is right",
        )


def _check_nrrd_geometry(header: TextHeader) -> None:
    """Check that spacing, in mm, and orientation are told."""
    space = header.fields.get("space", "").lower()
    if space not in NRRD_SPACES:
        raise refused(
            header.path,
            f"a space that names the patient's sides ({NRRD_SPACES[0]}, or RAS or LAS)",
            f"'{space}'" if space else "none",
            "which side is left is not known: convert it again from its source, or write the space that is right",
        )
    units = set(re.findall(r'"([^"]*)"', header.fields.get("space units", "").lower()))
    if units - {*MILLIMETRES, "???", ""}:
        raise refused(header.path, "space units in mm", ", ".join(sorted(units)), "convert directions and origin to mm")
    directions = header.fields.get("space directions")
    vectors = re.findall(r"\(([^)]*)\)", directions or "")
    if len(vectors) != SPATIAL_AXES:
        raise refused(
            header.path,
            "space directions of three axes",
            f"'{shown(directions)}'" if directions else "none",
            "which side is left is not known: convert it again from its source, or write the directions that are right",
        )
    columns = [_vector(header, vector) for vector in vectors]
    _require_spacing(header, "space directions", [float(np.linalg.norm(column)) for column in columns])


def _vector(header: TextHeader, text: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != SPATIAL_AXES:
        raise damaged(header.path, f"its space directions hold '({shown(text)})'")
    return numbers


def _require_spacing(header: TextHeader, field: str, spacing: list[float] | None) -> None:
    if spacing is None:
        raise refused(
            header.path,
            f"voxel sizes in mm ({field})",
            "none",
            "convert it again from its source, or write the sizes that are right",
        )
    if len(spacing) != SPATIAL_AXES or not all(math.isfinite(number) and number > 0 for number in spacing):
        found = " x ".join(f"{number:g}" for number in spacing)
        raise refused(
            header.path, f"three finite positive voxel sizes in mm ({field})", found, "convert it again from its source"
        )
