"""What a command locks while it runs, so that a second run on the same files is told who is at work on them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from soars_nnunet.cascade.environment import raw_folder, results_folder
from soars_nnunet.cascade.lock import dataset_lock, holding
from soars_nnunet.cascade.raw_cases import find_dataset
from soars_nnunet.cascade.record import Cascade


def source_dataset(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """Lock of the source dataset: stratify, plan and channels write its branches; none where it is only read."""
    if getattr(arguments, "check", False):
        return nullcontext()
    return dataset_lock(find_dataset(arguments.dataset))


def new_dataset(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """Lock of a dataset id that a command writes a raw dataset of."""
    number = f"Dataset{arguments.dataset:03d}"
    return holding(raw_folder() / f".{number}.lock", number)


@contextmanager
def cross_validated_folds(arguments: argparse.Namespace) -> Iterator[None]:
    """Locks of the folds that are cross-validated; others can be at the same time."""
    cascade = Cascade.load(arguments.dataset)
    what = arguments.model or arguments.plans_name
    name = "".join(sign if sign.isalnum() else "_" for sign in what)
    folds = range(cascade.num_folds) if arguments.folds is None else sorted(set(arguments.folds))
    with ExitStack() as stack:
        for fold in folds:
            path = results_folder() / f".{cascade.source}.{name}.fold_{fold}.lock"
            stack.enter_context(holding(path, f"the cross-validation of fold {fold} of {cascade.source} ({what})"))
        yield


def bundle(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """Lock of the bundle that is made, or of the folder of installed ones; none where a bundle is only read."""
    if arguments.action == "make":
        output = arguments.output.absolute()
        return holding(output.with_name(f".{output.name}.lock"), str(output))
    if arguments.action == "install":
        from soars_nnunet.bundles.places import installed_folder

        return holding(installed_folder() / ".lock", str(installed_folder()))
    return nullcontext()
