"""A bundle and its card out of a trained cascade."""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import shorten

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.card import Card, Text
from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.card_form import NOT_STATED
from soars_nnunet.bundles.container import is_bundle_name
from soars_nnunet.bundles.format import About
from soars_nnunet.bundles.make_card import make_card
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.read_facts import MakeOptions, read_facts
from soars_nnunet.bundles.write import BundleRequest, write_bundle, zip_bundle
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import new_staging, publish
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.progress import Progress, silent
from soars_nnunet.stratification.anatomy_of_cases import with_anatomy

DATASET_NUMBER = re.compile(r"^Dataset\d{3}_")
"""In front of nnU-Net's names of datasets."""

LONGEST_LINE = 400
"""Characters of a text that predictions print."""

SHORTEST_CASE_NAME = 4
"""Characters below which a case name is too common a word to look for in texts."""


def make_bundle(
    manifest: Path, output: Path, options: MakeOptions, cascade: Cascade | None = None, *, progress: Progress = silent
) -> Bundle:
    """Pack a trained cascade, with its card, and read it back.

    The same input gives the same bytes, but for the time of making; ``SOURCE_DATE_EPOCH`` fixes that, too.

    Args:
        manifest: Of the cascade.
        output: A folder, or a file that ends with ``.zip``; a bundle that lies there is replaced.
        options: Choices of the user.
        cascade: The stratified dataset, which knows the patients by organ; None where it is not at hand.
        progress: Receives a line a step.

    Returns:
        The bundle, verified.

    Raises:
        InputError: If the name, the card, an evaluation or the output cannot be used.
        MissingArtifactError: If a branch is not trained, or on another split than the others, or if its weights do not
            fit the precision.
    """
    output = output.absolute()
    _check_output(output, options.name)
    trained = TrainedCascade(manifest)
    facts = read_facts(trained, options, cascade, progress)
    if facts.out_of_fold is None:
        progress(f"card: not evaluated: {facts.without_evaluation}")
    card = make_card(facts)
    _check_privacy(card, cascade)
    request = BundleRequest(
        name=options.name,
        about=_about(facts),
        precision=options.precision,
        card=card.to_json(),
        card_text=card.markdown(),
        folds=options.folds,
        created=facts.created,
        anatomy=_anatomy(trained, cascade, progress),
    )
    _write(trained, output, request)
    return open_bundle(output)


def _anatomy(trained: TrainedCascade, cascade: Cascade | None, say: Progress) -> AnatomyFacts | None:
    """What training shows of the organs, where the manifest of an earlier version does not say it; None if it does.

    It is learnt from the label maps, if the stratified dataset is at hand and they are still there.
    """
    if trained.manifest.anatomy.organs or cascade is None:
        return None
    return with_anatomy(cascade, say).anatomy


def _check_output(output: Path, name: str) -> None:
    if not is_bundle_name(name):
        raise InputError(
            f"--name: expected up to 64 lower-case letters, digits, '-', '_' and '.', no .zip, got '{name}'"
        )
    is_new = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not is_new and not _holds_bundle(output):
        raise InputError(f"-o {output}: expected a new path, or a bundle to replace, got something else there")


def _holds_bundle(output: Path) -> bool:
    """Whether a sound bundle of the kind that is to be written lies there: all else in a folder would be deleted."""
    if output.is_dir() == (output.suffix == ".zip"):
        return False
    try:
        open_bundle(output)
    except ValueError:
        return False
    return True


def _about(facts: CardFacts) -> About:
    """What prediction says of the model in one line."""
    named = _text(facts.stated.get("data_name")) or DATASET_NUMBER.sub("", facts.manifest.source)
    return About(
        trained_on=f"{facts.num_patients} patients of {named}",
        license=_text(facts.stated.get("licence")) or NOT_STATED,
        citation=_text(facts.stated.get("citation")) or _text(facts.stated.get("data_citation")),
    )


def _text(stated: Text | None) -> str:
    """One line, cut if it is long: the card has all of it; empty where nothing is stated."""
    if stated is None:
        return ""
    text = stated if isinstance(stated, str) else "; ".join(stated)
    return shorten(text, LONGEST_LINE, placeholder=" ...")


def _check_privacy(card: Card, cascade: Cascade | None) -> None:
    """Refuse a card whose texts name a case or hold a path of this computer.

    Raises:
        InputError: Naming what was found.
    """
    text = card.markdown()
    found = []
    for case in cascade.cases if cascade is not None else ():
        if len(case) >= SHORTEST_CASE_NAME and re.search(rf"(?<!\w){re.escape(case)}(?!\w)", text):
            found.append(case)
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "HOME"):
        folder = os.environ.get(variable, "")
        if len(folder) > 1 and folder in text:
            found.append(folder)
    if found:
        raise InputError(
            f"--card or --evaluation: expected texts without case names and paths, which travel with the model, got "
            f"{', '.join(found)}; leave them out"
        )


def _write(trained: TrainedCascade, output: Path, request: BundleRequest) -> None:
    """Write the bundle beside its place, read it back, and only then put it there."""
    with new_staging(output) as staging:
        folder = staging / request.name
        write_bundle(trained, folder, request)
        _read_back(folder)
        if output.suffix == ".zip":
            zip_bundle(folder, output)
        else:
            publish(folder, output)


def _read_back(folder: Path) -> None:
    """Open what was written as its readers will.

    Raises:
        MissingArtifactError: If they would refuse it.
    """
    try:
        open_bundle(folder).verify()
    except MissingArtifactError as error:
        raise MissingArtifactError(f"no bundle is written, for its readers would refuse it: {error}") from error
