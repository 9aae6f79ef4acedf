"""The ``dataset.json`` of a raw nnU-Net dataset: its shape, and names of cases that can be files'."""

from __future__ import annotations

import re
from typing import Any

from soars_nnunet.errors import InputError
from soars_nnunet.schemas.fault import FaultError
from soars_nnunet.schemas.names import case_problem
from soars_nnunet.schemas.node import Node, checked
from soars_nnunet.schemas.printable import with_reason

FILE_ENDING = r"(\.[A-Za-z0-9]{1,10}){1,3}"

MAX_CASES = 1_000_000

MAX_CHANNELS = 256

MAX_PATH = 4096
"""Signs of a path."""

OTHER_MODALITY = re.compile(r"(mr|mri|t1|t2|flair|adc|dwi|pet|pt|us|ultrasound)([^a-z]|$)", re.IGNORECASE)
"""Start of the name of a channel that is no CT."""

ADVICE = "correct the file"


def check_dataset_json(data: Any, where: str) -> None:
    """Check a raw dataset's ``dataset.json``, without looking at its files.

    Args:
        data: Parsed JSON.
        where: Path, for messages.

    Raises:
        InputError: If a key is missing or has another form; all faults at once.
    """
    try:
        checked(data, where, _check, advice=ADVICE)
    except FaultError as fault:
        raise InputError(str(fault)) from fault


def check_case_table(data: Any, where: str) -> None:
    """Check what names a raw dataset's cases: ``dataset``, where there is one, and the ending of their files.

    Args:
        data: Parsed ``dataset.json``.
        where: Path, for messages.

    Raises:
        InputError: If one has another form, or a name of a case cannot be a file's; all faults at once.
    """

    def check(node: Node) -> None:
        fields = node.fields(("file_ending",))
        with node.part():
            fields["file_ending"].text(FILE_ENDING)
        if "dataset" in fields:
            _check_cases(fields["dataset"])

    try:
        checked(data, where, check, advice=ADVICE)
    except FaultError as fault:
        raise InputError(str(fault)) from fault


def check_branch_dataset(node: Node, labels: dict[str, int]) -> None:
    """Check the ``dataset.json`` of a branch's raw dataset, as soars-stratify and soars-channels write it.

    Args:
        node: The file.
        labels: Label by class, background first, as the cascade's record has them.

    Raises:
        FaultError: If a key is missing or has another form, or the labels are others.
    """
    fields = node.fields(("channel_names", "labels", "file_ending", "soars"))
    with node.part():
        names = fields["channel_names"].entries(MAX_CHANNELS)
        if list(names) != [str(channel) for channel in range(len(names))] or not names:
            fields["channel_names"].refuse("names of the channels 0, 1, ...")
    with node.part():
        if fields["labels"].value != labels:
            found = fields["labels"].entries(10_000)
            fields["labels"].refuse(f"the labels {', '.join(labels)}", ", ".join(found))
    with node.part():
        fields["file_ending"].text(FILE_ENDING)
    with node.part():
        fields["soars"].fields(("guidance",))["guidance"].texts(MAX_CHANNELS)
    if "dataset" in fields:
        _check_cases(fields["dataset"])


def _check(node: Node) -> None:
    fields = node.fields(("channel_names", "labels", "file_ending"))
    channels = fields["channel_names"].entries(1000)
    for name in channels.values():
        with node.part():
            if OTHER_MODALITY.match(name.text(most=300)) and len(channels) == 1:
                name.refuse("the name of a CT channel, as CT")
    with node.part():
        for label in fields["labels"].entries(10_000).values():
            _check_label(label)
    with node.part():
        fields["file_ending"].text(FILE_ENDING)
    if "dataset" in fields:
        _check_cases(fields["dataset"])


def _check_label(node: Node) -> None:
    """A number, or the numbers of a region; whether regions can be used is not decided here."""
    numbers = node.items(1, 10_000) if isinstance(node.value, list) else [node]
    for number in numbers:
        number.whole(0, 2**31 - 1)


def _check_cases(node: Node) -> None:
    for case, files in node.entries(MAX_CASES).items():
        with node.part():
            problem = case_problem(case)
            if problem:
                files.refuse("a case whose name can be a file's", with_reason(case, problem))
            row = files.fields(("images", "label"))
            for image in row["images"].items(1, 1000):
                _check_path(image)
            _check_path(row["label"])


def _check_path(node: Node) -> None:
    if not node.text(most=MAX_PATH).strip() or "\0" in node.value:
        node.refuse("the path of a file")
