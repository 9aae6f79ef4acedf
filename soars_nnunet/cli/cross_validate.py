"""``soars-cross-validate``: every training case predicted and scored by its own fold's models."""

from __future__ import annotations

import argparse

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say, say_text
from soars_nnunet.cli.options import (
    add_dataset,
    add_device,
    add_folds,
    add_model,
    add_plans,
    add_tiling,
    add_tta,
    to_device,
    to_tiling,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add dataset, bundle, plans, folds and how the networks run."""
    add_dataset(parser)
    add_model(parser)
    add_plans(parser)
    add_device(parser)
    add_tiling(parser)
    add_tta(parser)
    add_folds(parser, "only the validation cases of these folds; nothing is decided then")


def run(arguments: argparse.Namespace) -> None:
    """Cross-validate the whole cascade; later predictions keep the largest part where that helped."""
    from soars_nnunet.bundles.open import open_bundle
    from soars_nnunet.cross_validate import cross_validate
    from soars_nnunet.evaluation.evaluation_file import write_evaluation
    from soars_nnunet.evaluation.organ_table import format_table
    from soars_nnunet.prediction.postprocess import format_effects

    cascade = Cascade.load(arguments.dataset)
    bundle = None if arguments.model is None else open_bundle(arguments.model)
    evaluation, effects, folder = cross_validate(
        cascade,
        arguments.plans_name,
        device=to_device(arguments.device),
        tiling=to_tiling(arguments),
        mirror=arguments.tta,
        folds=arguments.folds,
        bundle=bundle,
        progress=say,
    )
    for doubt in evaluation.warnings:
        say(f"warning: {doubt}")
    say_text(format_table(evaluation))
    stem = "evaluation"
    if arguments.folds is not None:
        stem += "_folds_" + "_".join(str(fold) for fold in sorted(set(arguments.folds)))
    for path in write_evaluation(evaluation, folder, stem):
        say(f"wrote {path}")
    decided = "" if arguments.folds is None else " (of some folds, so nothing is decided)"
    if bundle is not None:
        decided = " (of a bundle, so nothing is decided)"
    say(f"largest part alone, out of fold{decided}:")
    for line in format_effects(effects):
        say(line)


main = make_main("cross-validate", add_arguments, run, guard=guards.cross_validated_folds)
