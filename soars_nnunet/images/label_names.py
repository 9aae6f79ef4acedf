"""Names and colours of labels where viewers look for them: in NIfTI files, and in tables of 3D Slicer and ITK-SNAP."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from soars_nnunet.images.organ_colors import Rgb, organ_colors
from soars_nnunet.json_text import printable

NIFTI_1 = struct.pack("<i", 348)
"""First bytes of a NIfTI-1 header, as ITK writes it: its size, little endian."""

OFFSET_AT, DATA_AT = 108, 352
"""In a NIfTI-1 file: where the header says where voxels begin, and where they begin without an extension."""

COMMENT_CODE = 0
"""Code of an extension of any kind; TotalSegmentator, and what reads its files, have label names under it."""

BLOCK = 16
"""Extensions of NIfTI have a multiple of so many bytes."""

Stream = IO[bytes] | gzip.GzipFile

LONGEST = 200
"""Signs of a name in these files."""

ITK_SNAP_HEAD = """################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
"""


def slicer_colors(labels: Mapping[str, int]) -> str:
    """Colour table (``.ctbl``) of 3D Slicer.

    Args:
        labels: Value by name, with or without the background.
    """
    lines = ["# Color table file soars_labels.ctbl", f"# {len(_rows(labels)) + 1} values", "0 background 0 0 0 0"]
    for value, name, (red, green, blue) in _rows(labels):
        word = "_".join(name.split())  # old versions of Slicer end a name at a space
        lines.append(f"{value} {word} {red} {green} {blue} 255")
    return "\n".join(lines) + "\n"


def itk_snap_labels(labels: Mapping[str, int]) -> str:
    """Label description file of ITK-SNAP.

    Args:
        labels: Value by name, with or without the background.
    """
    text = ITK_SNAP_HEAD
    for value, name, (red, green, blue) in _rows(labels):
        quoted = name.replace('"', "'")
        text += f'{value:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{quoted}"\n'
    return text


def label_xml(labels: Mapping[str, int]) -> str:
    """Label table in the XML that TotalSegmentator puts into its NIfTI files.

    Args:
        labels: Value by name, with or without the background, which is left out.
    """
    rows = ""
    for value, name, (red, green, blue) in _rows(labels):
        text = name.replace("]]>", "]] >")
        color = f'Red="{red / 255:.6g}" Green="{green / 255:.6g}" Blue="{blue / 255:.6g}" Alpha="1"'
        rows += f'<Label Key="{value}" {color}><![CDATA[{text}]]></Label>\n'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<CaretExtension><VolumeInformation Index="0"><LabelTable>\n'
        f"{rows}</LabelTable><StudyMetaDataLinkSet></StudyMetaDataLinkSet>"
        "<VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>\n"
    )


def embed_label_names(path: Path, labels: Mapping[str, int]) -> None:
    """Put names and colours into a NIfTI file that was just written; its voxels stay.

    Args:
        path: A file without extensions, of any format: others than NIfTI-1 (``.nii.gz``, ``.nii``) are left alone.
        labels: Value by name.
    """
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return
    compressed = name.endswith(".gz")
    own = path.with_suffix(".n")  # no longer than its name, which may be as long as file systems allow
    try:
        with path.open("rb") as raw, own.open("wb") as target:
            done = _copy_compressed(raw, target, labels) if compressed else _copy_with_names(raw, target, labels)
        if done:
            own.replace(path)
    finally:
        own.unlink(missing_ok=True)


def _copy_compressed(raw: IO[bytes], target: IO[bytes], labels: Mapping[str, int]) -> bool:
    """``_copy_with_names`` of a gzip stream; equal labels give equal bytes, as no time is in them."""
    with gzip.GzipFile(fileobj=raw) as source, gzip.GzipFile("", "wb", 6, target, mtime=0) as sink:
        return _copy_with_names(source, sink, labels)


def _copy_with_names(source: Stream, target: Stream, labels: Mapping[str, int]) -> bool:
    """Copy a NIfTI-1 file with the names behind its header; False if it is another file, or has an extension."""
    head = bytearray(source.read(DATA_AT))
    if len(head) < DATA_AT or head[:4] != NIFTI_1 or struct.unpack_from("<f", head, OFFSET_AT)[0] != DATA_AT:
        return False
    content = label_xml(labels).encode("utf-8")
    content += b" " * (-(len(content) + 8) % BLOCK)
    struct.pack_into("<f", head, OFFSET_AT, DATA_AT + 8 + len(content))
    head[348:352] = b"\x01\0\0\0"
    target.write(bytes(head) + struct.pack("<ii", 8 + len(content), COMMENT_CODE) + content)
    shutil.copyfileobj(source, target, 1 << 22)
    return True


def _rows(labels: Mapping[str, int]) -> list[tuple[int, str, Rgb]]:
    """Value, printable name and colour of each organ, by value."""
    rows = []
    for name, color in organ_colors(labels).items():
        rows.append((labels[name], printable(name, LONGEST), color))
    return sorted(rows)
