"""Everything that a card says of a trained cascade, read from its files and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from soars_nnunet.bundles.card_evaluation import DETECTION, LabelledEvaluation
from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.card_form import read_stated
from soars_nnunet.bundles.out_of_fold import LEGEND, read_out_of_fold, tolerances_mm
from soars_nnunet.bundles.training_facts import Training, patients_by_organ, read_training, require_one_split
from soars_nnunet.cascade.case_names import name_hashes, patient_of
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import CROSS_VALIDATION, Cascade
from soars_nnunet.cascade.trained import require_same_split
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.progress import Progress, silent

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
"""Seconds since 1970 to be written as the time of making (reproducible-builds.org/specs/source-date-epoch)."""

TAKEN_KEYS = (CROSS_VALIDATION, DETECTION)
"""Of tables that a card has anyway."""


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


def read_facts(
    trained: TrainedCascade, options: MakeOptions, cascade: Cascade | None = None, progress: Progress = silent
) -> CardFacts:
    """Read what a bundle's card says, and check that its folds belong together.

    Args:
        trained: The cascade.
        options: Choices of the user.
        cascade: The stratified dataset, which knows the patients by organ; None where it is not at hand.
        progress: Receives a line a branch.

    Raises:
        InputError: If the authors' card or an evaluation cannot be used.
        MissingArtifactError: If a branch is not trained, or on another split than the others.
    """
    folds = _folds(trained, options.folds)
    trainings = _read_trainings(trained, folds, progress)
    require_one_split(trained.manifest, trainings, _present_splits(cascade, trained.manifest))
    plans, fingerprints = {}, {}
    for key, of_branch in folds.items():
        model = trained.branch(key)
        plans[key] = PlansFile(model.plans)
        fingerprints[key] = model.fingerprint(of_branch)
    out_of_fold = read_out_of_fold(trained.path, trained.manifest, folds, fingerprints)
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
        evaluations=_read_further(options.evaluations, trained.manifest),
        stated={} if options.card is None else read_stated(options.card),
    )


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


def _present_splits(cascade: Cascade | None, manifest: Manifest) -> dict[str, str]:
    """Hash of the present split by branch, each that of the branch's plans; empty without the stratified dataset."""
    if cascade is None:
        return {}
    present = {}
    for key in manifest.branches:
        plans = cascade.plans_of(key, manifest.plans)
        require_same_split(cascade, key, plans)
        present[key] = cascade.split_hash(key)
    return present


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


def _read_further(texts: Sequence[str], cascade: Manifest) -> tuple[LabelledEvaluation, ...]:
    """Evaluations of ``LABEL=PATH``, each with a label of its own."""
    found: dict[str, LabelledEvaluation] = {}
    for text in texts:
        labelled = _further(text, cascade)
        if labelled.key in found or labelled.key in TAKEN_KEYS:
            raise InputError(f'--evaluation: expected a label that no other table has, got "{text}"; choose another')
        found[labelled.key] = labelled
    return tuple(found.values())


def _further(text: str, cascade: Manifest) -> LabelledEvaluation:
    label, equals, path = text.partition("=")
    if not label.strip() or not equals or not path:
        raise InputError(f'--evaluation: expected "LABEL=PATH of an evaluation.json", got "{text}"')
    evaluation = read_evaluation(Path(path))
    if not evaluation.scores:
        raise InputError(f"--evaluation {path}: expected scores of organs, found none; choose another file")
    key = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or "evaluation"
    notes: tuple[str, ...] = LEGEND
    trained_on = _cases_of_training(evaluation.cases(), cascade)
    if trained_on:
        notes = (
            *LEGEND,
            f"{trained_on} of the {len(evaluation.cases())} cases have the names of training patients: what networks "
            "trained on says nothing about new patients.",
        )
    return LabelledEvaluation(
        key=key,
        title=f"{label.strip()}, mean (95 % interval)",
        evaluation=evaluation,
        patient_pattern=cascade.patient_pattern,
        tolerances_mm=tolerances_mm(cascade.profile),
        notes=notes,
    )


def _cases_of_training(cases: Sequence[str], cascade: Manifest) -> int:
    """How many cases have the name of a patient that some network was trained on."""
    trained_on: set[str] = set()
    for key, branch in cascade.branches.items():
        trained_on |= cascade.trained_on(key, range(len(branch.training_patients)))
    found = 0
    for case in cases:
        patient = patient_of(case, cascade.patient_pattern) or case
        found += name_hashes([patient])[0] in trained_on
    return found
