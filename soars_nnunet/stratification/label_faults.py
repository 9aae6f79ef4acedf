"""What makes the labels of a dataset.json mean no one thing: regions, inverted lists, numbers that are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soars_nnunet.images.label_map import MAX_LABEL

BACKGROUND = "background"
"""nnU-Net's name of label 0."""


def label_faults(labels: Mapping[str, Any]) -> list[str]:
    """What is wrong with the labels of a dataset.json, one text a fault; empty if nothing is.

    Every name has one whole number of 0 to ``MAX_LABEL`` of its own. Numbers need not be consecutive.
    """
    if _is_inverted(labels):
        return ['numbers for names, as nnU-Net\'s first version had them (write them as "Brainstem": 1)']
    faults = []
    by_value: dict[int, str] = {0: BACKGROUND}
    for name, value in labels.items():
        fault = _value_fault(name, value)
        if fault:
            faults.append(fault)
            continue
        other = by_value.setdefault(value, name)
        if other != name:
            faults.append(f"two organs with one label, '{other}' and '{name}' ({value})")
    return faults


def _is_inverted(labels: Mapping[str, Any]) -> bool:
    """Whether numbers stand where names belong, as in {"1": "Brainstem"}."""
    names = [value for value in labels.values() if isinstance(value, str) and not value.isdigit()]
    return bool(names) and any(name.isdigit() for name in labels)


def _value_fault(name: str, value: Any) -> str | None:
    """What is wrong with one label by itself, or None."""
    if isinstance(value, (list, tuple)):
        return f"a list for '{name}' ({value}): regions are unusable, give every part a number of its own"
    if type(value) is not int:  # bool is an int, too
        return f"{value!r} for '{name}'"
    if not 0 <= value <= MAX_LABEL:
        return f"{value} for '{name}'"
    if name == BACKGROUND and value != 0:
        return f"{value} for the background"
    return None
