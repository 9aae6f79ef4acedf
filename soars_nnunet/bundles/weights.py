"""Weights of a fold out of the bytes of a safetensors file, checked against the network of the plans.

A safetensors file is a length, a JSON header with name, type, shape and place of each tensor, and their bytes: reading
it runs no code.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from soars_nnunet.bundles.container import refusal
from soars_nnunet.bundles.format import PRECISIONS, BundleBranch
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.schemas.strict_json import parse_json

MAX_HEADER = 2**20
"""Bytes of the header; that of a network of 42 organs has a hundredth."""

DTYPES = {"fp16": torch.float16, "fp32": torch.float32}

TYPE_NAMES = {torch.float32: "F32", torch.int64: "I64"}

PICKLES = {b"PK\x03\x04": "a zip, as PyTorch writes it", b"\x80": "a pickle"}
"""First bytes of what is not unpickled here."""

SHORT = 8
"""Bytes of the header's length."""

Expected = Mapping[str, tuple[str, list[int]]]
"""By name of a tensor: its type in the file, and its shape."""


LARGE = 2**15
"""Elements from which on a tensor has the bundle's precision: those below make a hundredth of a network."""


def stored_dtype(tensor: torch.Tensor, precision: str) -> torch.dtype:
    """Type that a tensor has in a bundle: large kernels in the bundle's precision, small tensors in full."""
    if not tensor.is_floating_point():
        return torch.int64
    return DTYPES[precision] if tensor.numel() >= LARGE else torch.float32


def expected_tensors(branch: BundleBranch, precision: str) -> Expected:
    """Names, types and shapes of the weights of a branch's network, which is not allocated for it."""
    configuration = PlansFile(branch.plans).configuration
    channels, classes = len(configuration["normalization_schemes"]), len(branch.dataset["labels"])
    arguments = configuration["architecture"]["arch_kwargs"]
    with torch.device("meta"):
        network = PHNN(channels, classes, **arguments, deep_supervision=False)
    expected = {}
    for name, tensor in network.state_dict().items():
        dtype = stored_dtype(tensor, precision)
        expected[name] = (TYPE_NAMES.get(dtype, PRECISIONS[precision]), list(tensor.shape))
    return expected


def read_weights(content: bytes, expected: Expected, where: str) -> dict[str, torch.Tensor]:
    """Weights by name, on the CPU: floating-point ones float32, counters int64.

    Args:
        content: Of the file.
        expected: Of the network.
        where: Path of the file, for messages.

    Raises:
        MissingArtifactError: If it is no safetensors file, or not of this network, or a weight is no finite number.
    """
    _check_header(_header(content, where), expected, where)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, RuntimeError, OverflowError) as error:
        raise refusal(where, "a whole safetensors file", str(error).splitlines()[0]) from error
    weights = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensor = tensor.float()
            if not bool(torch.isfinite(tensor).all()):
                raise refusal(f"{where}, {name}", "finite weights", "NaN or infinite ones")
            if name.endswith("running_var") and bool((tensor < 0).any()):
                raise refusal(f"{where}, {name}", "variances of 0 or more", "negative ones")
        weights[name] = tensor
    return weights


def _header(content: bytes, where: str) -> dict[str, Any]:
    """The parsed header."""
    for start, kind in PICKLES.items():
        # the length of a header may begin with the same byte, but the header behind it with a brace
        if content.startswith(start) and content[SHORT : SHORT + 1] != b"{":
            raise refusal(where, "a safetensors file", f"{kind}; it is not opened")
    if len(content) < SHORT:
        raise refusal(where, "a safetensors file", f"{len(content)} bytes")
    (length,) = struct.unpack("<Q", content[:SHORT])
    if length > MAX_HEADER:
        raise refusal(where, f"a safetensors header of at most {MAX_HEADER} bytes", f"one of {length}")
    if length > len(content) - SHORT:
        raise refusal(where, f"a safetensors header of {length} bytes", f"a file of {len(content)}")
    header = parse_json(content[SHORT : SHORT + length], f"{where}, header")
    if not isinstance(header, dict):
        raise refusal(where, "a safetensors header (a JSON object)", "other JSON")
    return header


def _check_header(header: dict[str, Any], expected: Expected, where: str) -> None:
    """Names, types and shapes are those of the network."""
    names = set(header) - {"__metadata__"}
    missing, unknown = sorted(set(expected) - names), sorted(names - set(expected))
    if missing or unknown:
        got = f"{len(missing)} missing and {len(unknown)} others, such as {(missing + unknown)[0]}"
        raise refusal(where, f"the {len(expected)} tensors of the network in the plans", got)
    for name, (dtype, shape) in expected.items():
        entry = header[name]
        if not isinstance(entry, dict) or entry.get("dtype") != dtype or entry.get("shape") != shape:
            found = f"{entry.get('dtype')} {entry.get('shape')}" if isinstance(entry, dict) else "other JSON"
            raise refusal(f"{where}, {name}", f"{dtype} {shape}", found)
