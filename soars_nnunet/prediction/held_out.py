"""Whether a bundle can cross-validate on a dataset: each of its folds predicts patients that it did not train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.case_names import patient_hashes
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import MissingArtifactError

INSTEAD = "use soars-cascade-predict --model and soars-evaluate"


def require_held_out(bundle: Bundle, cascade: Cascade, folds: Sequence[int] | None) -> None:
    """Check that a bundle's folds are those of a dataset's split, as far as hashes of patients tell.

    Args:
        bundle: Each fold of it predicts the validation cases of the fold of the same number.
        cascade: The dataset.
        folds: Which of them; None for all.

    Raises:
        MissingArtifactError: If a fold trained on a patient that it is to predict, if none trained on any patient of
            the dataset, if the bundle has no such fold, or if its labels mean other organs.
    """
    where = f"bundle {bundle.name}"
    _require_same_labels(bundle, cascade)
    splits = cascade.splits()
    wanted = list(range(len(splits))) if folds is None else sorted(set(folds))
    for key in bundle.manifest.branches:
        missing = sorted(set(wanted) - set(bundle.branch(key).folds))
        if missing:
            raise MissingArtifactError(
                f"{where}: expected networks of fold(s) {missing} of {key}, found {bundle.branch(key).folds} alone; "
                "choose others with --folds"
            )
    everybody = _hashes(cascade.cases or [case for split in splits for case in split["val"]], bundle, cascade)
    if not any(everybody & _trained_on(bundle, fold) for fold in wanted):
        raise MissingArtifactError(
            f"{where}: expected networks that trained on patients of {cascade.source}, found none that did, so this is "
            f"no cross-validation; {INSTEAD}"
        )
    for fold in wanted:
        seen = [case for case in splits[fold]["val"] if _hashes([case], bundle, cascade) & _trained_on(bundle, fold)]
        if seen:
            raise MissingArtifactError(
                f"{where}: fold {fold} trained on {len(seen)} patient(s) that it is to predict, such as {seen[0]}; "
                f"stratify with the split that the bundle was trained with, or {INSTEAD} on other patients"
            )


def _require_same_labels(bundle: Bundle, cascade: Cascade) -> None:
    """A label means one organ in both."""
    theirs = {organ.name: organ.label for organ in bundle.manifest.profile.organs}
    ours = {organ.name: organ.label for organ in cascade.profile.organs}
    if theirs != ours:
        raise MissingArtifactError(
            f"bundle {bundle.name}: expected the organs of profile {cascade.profile.name}, got those of "
            f"{bundle.manifest.profile.name} or other labels; stratify {cascade.source} with the bundle's profile"
        )


def _trained_on(bundle: Bundle, fold: int) -> set[str]:
    """Hashes of the patients that any branch's network of a fold trained on."""
    patients: set[str] = set()
    for key in bundle.manifest.branches:
        patients |= bundle.manifest.trained_on(key, [fold])
    return patients


def _hashes(cases: Iterable[str], bundle: Bundle, cascade: Cascade) -> set[str]:
    """Of the patients of cases, as the dataset finds them in the names and as the bundle does."""
    return patient_hashes(cases, (cascade.patient_pattern, bundle.manifest.patient_pattern))
