"""The manifest of a trained cascade: all that prediction must know beside the model folders, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import results_folder
from soars_nnunet.cascade.lock import holding
from soars_nnunet.cascade.made_from import MadeFrom, made_from
from soars_nnunet.cascade.manifest_checks import BranchFacts, check_cascade
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, MANIFEST, TARGET_FACTS, Cascade
from soars_nnunet.cascade.storage import file_hash, json_hash, provenance, read_json, write_json
from soars_nnunet.cascade.target_facts import TargetFacts, read_target_facts
from soars_nnunet.cascade.trained import trained_folds
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.profile import Profile
from soars_nnunet.schemas.node import checked
from soars_nnunet.settings.bundle_start import BundleStart

MANIFEST_SECONDS = 60
"""How long to wait for another run that writes a manifest, which takes seconds."""

RENEW = "rerun soars-plan, or copy the folder again"
"""What to do about a fault in a training's manifest."""


@dataclass(frozen=True)
class StartedFrom:
    """The bundle whose weights a branch started from.

    Attributes:
        bundle: Its name.
        sha256: Of its ``manifest.json``.
        patients: By fold, hashes of the patients that these weights were trained on.
    """

    bundle: str
    sha256: str
    patients: tuple[tuple[str, ...], ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StartedFrom:
        """Out of JSON that was checked."""
        patients = tuple(tuple(of_fold) for of_fold in data["patients"])
        return cls(bundle=data["bundle"], sha256=data["sha256"], patients=patients)


@dataclass(frozen=True)
class ManifestBranch:
    """A branch of a trained cascade.

    Attributes:
        model: Folder of its trained folds, relative to the manifest's.
        guidance: Names of its guidance channels; empty where it sees the CT alone.
        classes: Names of its foreground classes, in label order.
        training_patients: By fold, hashes of the patients that it trains on.
        started_from: The bundle that its first weights are of; None for new weights.
        weights: SHA-256 of the final checkpoint by fold, as its training wrote it, where that is known.
    """

    model: str
    guidance: tuple[str, ...]
    classes: tuple[str, ...]
    training_patients: tuple[tuple[str, ...], ...]
    started_from: StartedFrom | None = None
    weights: dict[int, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ManifestBranch:
        """A branch out of JSON that was checked; in a bundle it has no folder."""
        started_from = data.get("started_from")
        return cls(
            model=data.get("model", ""),
            guidance=tuple(data["guidance"]),
            classes=tuple(data["classes"]),
            training_patients=tuple(tuple(patients) for patients in data["training_patients"]),
            started_from=StartedFrom.from_dict(started_from) if started_from else None,
            weights={int(fold): sha256 for fold, sha256 in data.get("weights", {}).items()},
        )

    def to_json(self) -> dict[str, Any]:
        """As it is stored: ``started_from`` and ``weights`` only where there are some."""
        data = asdict(self)
        del data["weights"]
        if self.started_from is None:
            del data["started_from"]
        if self.weights:
            data["weights"] = {str(fold): sha256 for fold, sha256 in sorted(self.weights.items())}
        return data


@dataclass(frozen=True)
class Manifest:
    """What prediction must know of a trained cascade; holds no case name and no absolute path.

    Attributes:
        source: Name of the dataset that it was trained on.
        plans: Plans name of the variant.
        profile: The organs.
        patient_pattern: Regular expression whose first group is the patient in a case name; None if every
            case is a patient of its own.
        branches: The planned branches by key, in the order of training.
        targets: Facts by detection target; empty until the crops are cut.
        provenance: Versions that shaped it.
        anatomy: Where the organs of the training cases lie, and how large they are; empty where it was not learnt.
        made_from: What later steps must not contradict; None where it was not recorded, as in bundles.
    """

    source: str
    plans: str
    profile: Profile
    patient_pattern: str | None
    branches: dict[str, ManifestBranch]
    targets: dict[str, TargetFacts]
    provenance: dict[str, str]
    anatomy: AnatomyFacts = AnatomyFacts()
    made_from: MadeFrom | None = None

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            MissingArtifactError: If there is none, or the file holds something else; all its faults at once.
        """
        data = read_json(path)
        if not isinstance(data, dict) or not {"profile", "branches", "targets"} <= set(data):
            raise MissingArtifactError(f"{path}: expected a cascade's manifest, got other JSON; rerun soars-plan")
        checked(data, str(path), partial(check_cascade, stored=True), advice=RENEW)
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Manifest:
        """A manifest out of JSON that ``check_cascade`` has taken."""
        branches = {key: ManifestBranch.from_dict(branch) for key, branch in data["branches"].items()}
        targets = {target: TargetFacts.from_dict(facts) for target, facts in data["targets"].items()}
        return cls(
            source=data.get("source", ""),
            plans=data.get("plans", ""),
            profile=Profile.from_dict(data["profile"]),
            patient_pattern=data.get("patient_pattern"),
            branches=branches,
            targets=targets,
            provenance=data.get("provenance", {}),
            anatomy=AnatomyFacts.from_dict(data.get("anatomy", {})),
            made_from=MadeFrom.from_dict(data["made_from"]) if data.get("made_from") else None,
        )

    def write(self, path: Path) -> None:
        """Write it, for ``load``."""
        write_json(path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As it is stored; ``from_dict`` reads it back."""
        branches = {key: branch.to_json() for key, branch in self.branches.items()}
        data = {**asdict(self), "profile": self.profile.to_dict(), "branches": branches}
        del data["anatomy"], data["made_from"]
        if self.anatomy.organs:
            data["anatomy"] = self.anatomy.to_dict()
        if self.made_from is not None:
            data["made_from"] = self.made_from.to_json()
        return data

    def facts(self, branch: str) -> BranchFacts:
        """What a branch's plans have to agree with."""
        described = self.branches[branch]
        return BranchFacts(branch, described.guidance, described.classes, self.profile, self.patient_pattern)

    @property
    def fingerprint(self) -> str:
        """Hash of the profile and of the targets' facts, on which predictions depend beside the networks."""
        targets = {target: facts.to_dict() for target, facts in self.targets.items()}
        return json_hash({"profile": self.profile.to_dict(), "targets": targets})

    def trained_on(self, branch: str, folds: Sequence[int]) -> set[str]:
        """Hashes of the patients that a branch's models, or their first weights, may have seen in training.

        Args:
            branch: Its key.
            folds: Folds of the models; one that the split does not have may have seen every patient.
        """
        described = self.branches[branch]
        beyond_split = max(folds) >= len(described.training_patients)
        lists = [described.training_patients]
        if described.started_from is not None:
            lists.append(described.started_from.patients)
        patients: set[str] = set()
        for by_fold in lists:
            for fold, of_fold in enumerate(by_fold):
                if beyond_split or fold in folds:
                    patients.update(of_fold)
        return patients


def write_manifest(cascade: Cascade, plans_name: str, detected_by: str | None = None) -> Path:
    """Record for prediction which model folder each planned branch has; copies no case name or path.

    The manifest lies in the results folder, so that folder can be moved as a whole.

    Args:
        cascade: The stratified dataset.
        plans_name: Plans of the variant.
        detected_by: Plans whose out-of-fold detections say how large the VOIs are; None for the variant's own.

    Returns:
        Where it lies.
    """
    branches = {}
    for branch in cascade.branches:
        plans = cascade.plans_of(branch.key, plans_name)
        if cascade.plans(branch.key, plans).is_file():
            branches[branch.key] = _describe_branch(cascade, branch.key, plans)
    targets: dict[str, TargetFacts] = {}
    if "detection" in cascade.datasets:
        plans = cascade.plans_of("detection", detected_by or plans_name)
        targets = read_target_facts(cascade.channels("detection", plans) / TARGET_FACTS)
    path = cascade.manifest(plans_name)
    with manifest_lock(path):
        branches = _with_recorded_weights(branches, path)
        manifest = Manifest(
            source=cascade.source,
            plans=plans_name,
            profile=cascade.profile,
            patient_pattern=cascade.patient_pattern,
            branches=branches,
            targets=targets,
            provenance=provenance(),
            anatomy=cascade.anatomy,
            made_from=made_from(cascade, plans_name),
        )
        manifest.write(path)
    return path


def manifest_lock(path: Path) -> AbstractContextManager[None]:
    """Context in which no other run writes a manifest, or records in it."""
    return holding(path.with_name(f".{path.name}.lock"), str(path), wait_seconds=MANIFEST_SECONDS)


def _with_recorded_weights(branches: dict[str, ManifestBranch], path: Path) -> dict[str, ManifestBranch]:
    """Branches with the hashes that the present manifest has of the same models; new ones where it has none.

    So weights that were damaged meanwhile do not become those that are expected.
    """
    try:
        present = Manifest.load(path).branches
    except ValueError:  # none yet, or a damaged one, which is written anew
        present = {}
    described = {}
    for key, branch in branches.items():
        old = present.get(key)
        recorded = dict(old.weights) if old is not None and old.model == branch.model else {}
        model = path.parent / branch.model
        for fold in trained_folds(model):
            if fold not in recorded:
                recorded[fold] = file_hash(model / f"fold_{fold}" / CHECKPOINT)
        described[key] = replace(branch, weights=recorded)
    return described


def record_weights(model: Path, fold: int) -> list[Path]:
    """Record the final checkpoint that a training has written, in every manifest that names its model folder.

    Args:
        model: nnU-Net's folder of the trained branch.
        fold: Which was trained.

    Returns:
        The manifests; none where soars-plan wrote none, as for stock plans.
    """
    sha256 = file_hash(model / f"fold_{fold}" / CHECKPOINT)
    changed = []
    for path in all_manifests(model.parent.parent):
        with manifest_lock(path):
            try:
                manifest = Manifest.load(path)
            except ValueError:
                continue  # of another form, which prediction refuses
            branches = dict(manifest.branches)
            for key, branch in manifest.branches.items():
                if (path.parent / branch.model).resolve() == model.resolve():
                    branches[key] = replace(branch, weights={**branch.weights, fold: sha256})
            if branches != manifest.branches:
                replace(manifest, branches=branches).write(path)
                changed.append(path)
    return changed


def _describe_branch(cascade: Cascade, branch: str, plans: str) -> ManifestBranch:
    settings = PlansFile.read(cascade.plans(branch, plans)).settings
    training_patients = []
    for split in cascade.splits():
        training_patients.append(tuple(name_hashes(cascade.patients(split["train"]))))
    model = cascade.model(branch, plans)
    return ManifestBranch(
        model=str(PurePosixPath("..", "..", model.parent.name, model.name)),
        guidance=settings.guidance,
        classes=tuple(name for name, _ in branch_labels(cascade, branch)),
        training_patients=tuple(training_patients),
        started_from=_started_from(cascade, branch, settings.start),
    )


def _started_from(cascade: Cascade, branch: str, start: BundleStart | None) -> StartedFrom | None:
    if start is None:
        return None
    patients = tuple(tuple(of_fold) for of_fold in read_json(cascade.preprocessed(branch) / start.patients))
    return StartedFrom(start.bundle, start.sha256, patients)


def locate_manifest(dataset: str | None, models: Path | None, plans: str) -> Path:
    """Manifest named by a dataset or a model folder, or the only trained one.

    Raises:
        MissingArtifactError: If there is none.
    """
    if models is not None:
        path = models / MANIFEST if models.is_dir() else models
        if not path.is_file():
            raise MissingArtifactError(f"-m {models}: expected a cascade's folder with {MANIFEST}, found none")
        return path
    if dataset is None:
        return find_manifest(results_folder())
    cascade = Cascade.load(dataset)
    path = cascade.manifest(plans)
    if not path.is_file():
        if plans != DEFAULT_PLANS:
            cascade.require_plans(plans)
        raise MissingArtifactError(
            f"dataset {dataset}: expected {path}; run soars-plan -d {dataset} and train the cascade"
        )
    return path


def find_manifest(results: Path) -> Path:
    """The one trained cascade under nnU-Net's results folder.

    Raises:
        MissingArtifactError: If there is none, or more than one.
    """
    found = trained_manifests(results)
    if len(found) != 1:
        listed = ", ".join(str(path.parent.relative_to(results)) for path in found) or "none"
        raise MissingArtifactError(
            f"expected exactly one trained cascade in {results}, found {listed}; choose with -d ID, "
            "-m FOLDER or --model NAME"
        )
    return found[0]


def trained_manifests(results: Path) -> list[Path]:
    """Manifests under nnU-Net's results folder whose branches all have a trained fold, sorted; may be empty."""
    return [path for path in all_manifests(results) if _is_trained(path)]


def all_manifests(results: Path) -> list[Path]:
    """Manifests under nnU-Net's results folder, of trained cascades or not, sorted; may be empty."""
    return sorted(results.glob(f"Dataset*/SOARS__*/{MANIFEST}"))


def _is_trained(path: Path) -> bool:
    """Whether all branches have a trained fold; no for a manifest of another form, which prediction refuses."""
    data = read_json(path)
    branches = data.get("branches") if isinstance(data, dict) else None
    if not isinstance(branches, dict) or not branches:
        return False
    for branch in branches.values():
        model = branch.get("model") if isinstance(branch, dict) else None
        if not isinstance(model, str) or not any((path.parent / model).glob(f"fold_*/{CHECKPOINT}")):
            return False
    return True
