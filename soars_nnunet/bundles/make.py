"""A bundle and its card out of a trained cascade."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.card import Card, Text
from soars_nnunet.bundles.card_evaluation import LabelledEvaluation
from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.card_form import NOT_STATED, read_stated
from soars_nnunet.bundles.format import About
from soars_nnunet.bundles.make_card import make_card
from soars_nnunet.bundles.open import is_bundle, open_bundle
from soars_nnunet.bundles.out_of_fold import LEGEND, read_out_of_fold, tolerances_mm
from soars_nnunet.bundles.training_facts import Training, patients_by_organ, read_training, require_one_split
from soars_nnunet.bundles.write import BundleRequest, write_bundle, zip_bundle
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import new_staging, publish
from soars_nnunet.cascade.trained import require_same_split
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.progress import Progress, silent

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")

SHORTEST_CASE_NAME = 4
"""Characters below which a case name is too common a word to look for in texts."""

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
"""Seconds since 1970 to be written as the time of making (reproducible-builds.org/specs/source-date-epoch)."""


@dataclass(frozen=True)
class MakeOptions:
    """Choices of the user.

    Attributes:
        name: Of the bundle.
        precision: ``fp16`` or ``fp32``.
        folds: Of every branch; None for all trained ones of the split.
        card: JSON file of what the authors state; None for nothing.
        evaluations: ``LABEL=PATH`` of further evaluations.
    """

    name: str
    precision: str = "fp16"
    folds: Sequence[int] | None = None
    card: Path | None = None
    evaluations: Sequence[str] = ()


def make_bundle(
    manifest: Path, output: Path, options: MakeOptions, cascade: Cascade | None = None, progress: Progress = silent
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
    _check_output(output, options.name)
    trained = TrainedCascade(manifest)
    folds = _folds(trained, options.folds)
    trainings = _read_trainings(trained, folds, progress)
    require_one_split(trained.manifest, trainings, _present_splits(cascade, trained, manifest))
    facts = _facts(manifest, trained, trainings, options, cascade)
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
    )
    _write(trained, output, request)
    return open_bundle(output)


def _check_output(output: Path, name: str) -> None:
    if NAME.fullmatch(name) is None:
        raise InputError(f"--name: expected lower-case letters, digits, '-', '_' and '.', got '{name}'")
    if output.is_dir() and not any(output.iterdir()):
        return
    taken = output.exists() and not (output.is_file() if output.suffix == ".zip" else is_bundle(output))
    if taken or (output.is_file() and output.suffix != ".zip"):
        raise InputError(f"-o {output}: expected a new path, or a bundle to replace, got something else there")


def _folds(trained: TrainedCascade, asked: Sequence[int] | None) -> dict[str, list[int]]:
    """Folds by branch: asked for, or the trained ones of the split.

    Raises:
        MissingArtifactError: If a branch has none of them; all are named.
    """
    folds = {}
    missing = []
    for key, branch in trained.manifest.branches.items():
        of_split = range(len(branch.training_patients))
        available = [fold for fold in trained.branch(key).folds if fold in of_split]
        wanted = available if asked is None else sorted(set(asked))
        lacking = sorted(set(wanted) - set(available))
        if lacking or not wanted:
            missing.append(f"{key} (fold {' '.join(map(str, lacking)) or 'of any number'}; trained: {available})")
        folds[key] = wanted
    if missing or not folds:
        listed = "; ".join(missing) or "no branch at all"
        raise MissingArtifactError(
            f"{trained.path}: expected trained folds of every branch, but these are missing: {listed}; train them, or "
            "choose others with --folds"
        )
    return folds


def _read_trainings(
    trained: TrainedCascade, folds: Mapping[str, Sequence[int]], progress: Progress
) -> tuple[Training, ...]:
    trainings = []
    for key, of_branch in folds.items():
        num_folds = len(trained.manifest.branches[key].training_patients)
        for fold in of_branch:
            trainings.append(read_training(key, fold, trained.branch(key).folder))
        progress(f"{key}: {len(of_branch)} of {num_folds} folds")
    return tuple(trainings)


def _present_splits(cascade: Cascade | None, trained: TrainedCascade, manifest: Path) -> dict[str, str]:
    """Hash of the present split by branch, each that of the branch's plans; empty without the stratified dataset."""
    if cascade is None:
        return {}
    present = {}
    for key in trained.manifest.branches:
        plans = cascade.plans_of(key, trained.manifest.plans)
        require_same_split(cascade, key, plans)
        present[key] = cascade.split_hash(key)
    return present


def _facts(
    manifest: Path,
    trained: TrainedCascade,
    trainings: tuple[Training, ...],
    options: MakeOptions,
    cascade: Cascade | None,
) -> CardFacts:
    plans, folds, fingerprints = {}, {}, {}
    for key in trained.manifest.branches:
        model = trained.branch(key)
        plans[key] = PlansFile(model.plans)
        folds[key] = [training.fold for training in trainings if training.branch == key]
        fingerprints[key] = model.fingerprint(folds[key])
    out_of_fold = read_out_of_fold(manifest, trained.manifest, folds, fingerprints)
    return CardFacts(
        name=options.name,
        created=_now(),
        precision=options.precision,
        manifest=trained.manifest,
        plans=plans,
        trainings=trainings,
        patients=None if cascade is None else patients_by_organ(cascade),
        largest_part=_largest_part(trained, fingerprints),
        out_of_fold=out_of_fold.evaluation,
        without_evaluation=out_of_fold.reason,
        evaluations=tuple(_further(text, trained.manifest) for text in options.evaluations),
        stated={} if options.card is None else read_stated(options.card),
    )


def _now() -> str:
    """Time of making: that of the environment's variable, or else the present."""
    fixed = os.environ.get(EPOCH_VARIABLE)
    if not fixed:
        return datetime.now(timezone.utc).isoformat(timespec="seconds")
    if not fixed.isdigit():
        raise InputError(f"{EPOCH_VARIABLE}: expected seconds since 1970, got '{fixed}'")
    return datetime.fromtimestamp(int(fixed), timezone.utc).isoformat(timespec="seconds")


def _largest_part(trained: TrainedCascade, fingerprints: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """Organs of the decision on post-processing; None without one, or where it was taken for other weights."""
    decided = trained.postprocessing()
    if decided is None:
        return None
    for key, hashes in fingerprints.items():
        if not set(hashes) <= set(decided["models"].get(key, ())):
            return None
    return tuple(decided["largest_part"])


def _further(text: str, cascade: Manifest) -> LabelledEvaluation:
    """An evaluation of ``LABEL=PATH``."""
    label, equals, path = text.partition("=")
    if not label.strip() or not equals or not path:
        raise InputError(f'--evaluation: expected "LABEL=PATH of an evaluation.json", got "{text}"')
    evaluation = read_evaluation(Path(path))
    if not evaluation.scores:
        raise InputError(f"--evaluation {path}: expected scores of organs, found none; choose another file")
    key = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or "evaluation"
    return LabelledEvaluation(
        key=key,
        title=f"{label.strip()}, mean (95 % interval)",
        evaluation=evaluation,
        patient_pattern=None,
        tolerances_mm=tolerances_mm(cascade.profile),
        notes=LEGEND,
    )


def _about(facts: CardFacts) -> About:
    """What prediction says of the model in one line."""
    return About(
        trained_on=f"{facts.num_patients} patients of {_text(facts.stated.get('data')) or facts.manifest.source}",
        license=_text(facts.stated.get("licence")) or NOT_STATED,
        citation=_text(facts.stated.get("citation")) or _text(facts.stated.get("data_citation")),
    )


def _text(stated: Text | None) -> str:
    if stated is None:
        return ""
    return stated if isinstance(stated, str) else "; ".join(stated)


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
        open_bundle(folder).verify()
        if output.suffix == ".zip":
            zip_bundle(folder, output)
        else:
            publish(folder, output)
