"""Every dataset, folder, file and JSON that one step hands to the next.

The folders and files of a cascade are named here. The steps meet in two JSON files:

* ``<nnUNet_preprocessed>/<source dataset>/soars_cascade.json`` (``Cascade``): which nnU-Net
  datasets the source was stratified into; written by ``soars-stratify``.
* ``<nnUNet_results>/<source dataset>/SOARS__<plans>/manifest.json`` (``Manifest``): what prediction
  needs to know about the trained branches; written by ``soars-plan``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.case_names import patient_of, without_further_crops
from soars_nnunet.cascade.derived import Derivation
from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder, results_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.raw_cases import find_dataset
from soars_nnunet.cascade.record_checks import check_record, check_splits
from soars_nnunet.cascade.storage import json_hash, provenance, read_json, write_json
from soars_nnunet.errors import MissingArtifactError, did_you_mean
from soars_nnunet.profile import Profile
from soars_nnunet.schemas.node import checked

DEFAULT_PLANS = "nnUNetPlans"

TRAINING_PLANS = "SOARSPlans"
"""Second name of the file of the default plans, for ``nnUNetv2_train -p``: by the first name alone nnU-Net takes any
plans for its own old ones, and says so. Models and data are called by the first name."""

CHECKPOINT = "checkpoint_final.pth"

MANIFEST = "manifest.json"

POSTPROCESSING = "postprocessing.json"

CROSS_VALIDATION = "cross_validation"
"""Folder beside a manifest: label volumes of the training cases, out of fold, and their evaluation."""

TARGET_FACTS = "targets.json"

DETECTIONS = "detections.csv"

GENOTYPE = "genotype.json"

FINE_TUNING_PLANNER = "soars-plan --fine-tune"

INFERENCE_REVISION = 6
"""Of what networks are asked and how; outputs of another one are made again."""

GUIDANCE_FACTS = ("split_sha256", "models", "plans", "cases", "inference")
"""What out-of-fold output depends on, in its provenance.json; made again where one of them changes."""

DERIVED_LABELS = "soars_labels"
"""Folder beside the record: the source's label maps with derived organs, where there are any."""

DERIVED_RECORD = "derived.json"
"""In that folder: what is made of what, and by case the planes that divide organs, and what is doubtful."""

NOT_ANNOTATED = "unannotated.json"
"""In a branch's preprocessed dataset: by case, the classes that are there but not annotated."""

PREPROCESSING_RECORD = "soars/made_from.json"
"""In a folder of its own: nnU-Net tells the format of preprocessed data by the endings of its files."""


@dataclass(frozen=True)
class Cascade:
    """A stratified source dataset: its profile, the nnU-Net datasets of its branches, facts of its cases.

    Case names are not in its representation: nnU-Net writes those of a trainer's attributes into model folders.

    Attributes:
        source: Name of the source dataset.
        profile: The organs.
        datasets: nnU-Net dataset name by branch key; only branches whose tier has organs.
        labels: Source dataset's label by TG-263 name (organs of the profile only); of derived organs, that in the
            derived label maps.
        num_folds: Folds of the cross-validation.
        split_sha256: Hash of the patient-level split; empty if it was not recorded.
        cases: Names of the training cases, sorted.
        empty: By case, organs without a voxel; only cases that have any.
        not_annotated: By case, organs that are there but not annotated; only cases that have any.
        patient_pattern: Regular expression whose first group is the patient in a case name; None if every
            case is a patient of its own.
        anatomy: Where the organs of the training cases lie, and how large they are; empty if it was not recorded.
        derived: Organs that the source draws in another form; all steps then read the derived label maps.
        ignore: Source dataset's label of voxels that nobody judged, where some case has such; None otherwise.
        partly_annotated: By case, organs that touch such voxels or may lie in them: where they end is unknown.
        left_out: Why, by case or file of the source dataset that is not used; the user accepted it.
    """

    source: str
    profile: Profile
    datasets: dict[str, str]
    labels: dict[str, int]
    num_folds: int = 4
    split_sha256: str = ""
    cases: tuple[str, ...] = field(default=(), repr=False)
    empty: dict[str, list[str]] = field(default_factory=dict, repr=False)
    not_annotated: dict[str, list[str]] = field(default_factory=dict, repr=False)
    patient_pattern: str | None = None
    anatomy: AnatomyFacts = field(default=AnatomyFacts(), repr=False)
    derived: tuple[Derivation, ...] = ()
    ignore: int | None = None
    partly_annotated: dict[str, list[str]] = field(default_factory=dict, repr=False)
    left_out: dict[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def path(source: str) -> Path:
        """Where the record of a source dataset lies."""
        return preprocessed_folder() / source / "soars_cascade.json"

    @classmethod
    def load(cls, dataset: int | str) -> Cascade:
        """Read the record of a stratified source dataset (id or name); facts that it lacks have their defaults.

        Raises:
            MissingArtifactError: If the dataset was not stratified, or its record is of another form.
        """
        source = find_dataset(dataset)
        if not cls.path(source).is_file():
            raise MissingArtifactError(
                f"{source} is not stratified: expected {cls.path(source)}; run: soars-stratify -d {dataset} -p PROFILE"
            )
        data = read_json(cls.path(source))
        advice = "run soars-stratify again, or restore the file"
        checked(data, str(cls.path(source)), check_record, advice=advice)
        return cls(
            source=source,
            profile=Profile.from_dict(data["profile"]),
            datasets=data["datasets"],
            labels=data["labels"],
            num_folds=data.get("num_folds", 4),
            split_sha256=data.get("split_sha256", ""),
            cases=tuple(data.get("cases", ())),
            empty=data.get("empty", {}),
            not_annotated=data.get("unannotated", {}),
            patient_pattern=data.get("patient_pattern"),
            anatomy=AnatomyFacts.from_dict(data.get("anatomy", {})),
            derived=tuple(Derivation.from_dict(row) for row in data.get("derived", ())),
            ignore=data.get("ignore"),
            partly_annotated=data.get("partly_annotated", {}),
            left_out=data.get("left_out", {}),
        )

    def save(self) -> None:
        """Write the record."""
        data = {
            "source": self.source,
            "datasets": self.datasets,
            "labels": self.labels,
            "num_folds": self.num_folds,
            "split_sha256": self.split_sha256,
            "cases": list(self.cases),
            "empty": self.empty,
            "unannotated": self.not_annotated,
            "patient_pattern": self.patient_pattern,
            "anatomy": self.anatomy.to_dict(),
            "derived": [derivation.to_dict() for derivation in self.derived],
            "ignore": self.ignore,
            "partly_annotated": self.partly_annotated,
            "left_out": self.left_out,
            "profile": self.profile.to_dict(),
            "provenance": provenance(),
        }
        write_json(self.path(self.source), data)

    def require_plans(self, plans: str) -> None:
        """Check that ``soars-plan`` has written plans of a name for some branch.

        Raises:
            MissingArtifactError: If not; names those that there are.
        """
        if any(self.plans(branch.key, plans).is_file() for branch in self.networks):
            return
        manifests = self.manifest(plans).parents[1].glob(f"SOARS__*/{MANIFEST}")
        known = sorted(path.parent.name.removeprefix("SOARS__") for path in manifests)
        raise MissingArtifactError(
            f"--plans-name {plans}: expected plans of {self.source}, which has {', '.join(known) or 'none'}; run "
            f"soars-plan -d {int(self.source[7:10])}, or name others{did_you_mean(plans, known)}"
        )

    def plans_of(self, branch: str, plans: str) -> str:
        """Plans that a branch has under a variant's name: its own, or else the default ones."""
        return plans if self.plans(branch, plans).is_file() else DEFAULT_PLANS

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Branches of this cascade in the order of training."""
        return tuple(branch for branch in self.networks if branch.tier not in ("all", "cascade"))

    @property
    def networks(self) -> tuple[Branch, ...]:
        """The branches and, if the dataset was stratified with it, the baseline."""
        return tuple(branch for key, branch in BRANCHES.items() if key in self.datasets)

    def raw(self, branch: str) -> Path:
        """Raw dataset folder of a branch."""
        return raw_folder() / self.datasets[branch]

    def preprocessed(self, branch: str) -> Path:
        """Preprocessed dataset folder of a branch."""
        return preprocessed_folder() / self.datasets[branch]

    def data(self, branch: str, plans: str) -> Path:
        """Folder of a branch's preprocessed cases."""
        return self.preprocessed(branch) / f"{plans}_{CONFIGURATION}"

    def plans(self, branch: str, plans: str) -> Path:
        """Plans JSON of a branch."""
        return self.preprocessed(branch) / f"{plans}.json"

    def training_plans(self, branch: str) -> Path:
        """Copy of a branch's default plans, by which they are trained."""
        return self.preprocessed(branch) / f"{TRAINING_PLANS}.json"

    @property
    def derived_labels(self) -> Path:
        """Folder of the label maps with derived organs."""
        return preprocessed_folder() / self.source / DERIVED_LABELS

    def options(self, plans: str) -> Path:
        """The user's last choices for these plans, which ``soars-plan`` takes up again."""
        return preprocessed_folder() / self.source / f"soars_options_{plans}.json"

    @staticmethod
    def stratify_options(source: str) -> Path:
        """The user's last choices for a source dataset, which ``soars-stratify`` takes up again."""
        return preprocessed_folder() / source / "soars_stratify_options.json"

    def first_weights(self, branch: str, plans: str, fold: int) -> Path:
        """Weights that a fold's training starts from, where it starts from a bundle."""
        return self.preprocessed(branch) / f"initial_weights_{plans}_fold_{fold}.safetensors"

    def first_patients(self, branch: str, plans: str) -> Path:
        """By fold, hashes of the patients that ``first_weights`` were trained on."""
        return self.preprocessed(branch) / f"initial_weights_{plans}.json"

    def channels(self, branch: str, plans: str, in_sample: bool = False) -> Path:
        """Folder of the output of a branch (``anchor`` or ``detection``) on its training cases: out of fold, or not."""
        return self.preprocessed(branch) / f"soars_channels_{plans}{'_in_sample' if in_sample else ''}"

    def model(self, branch: str, plans: str) -> Path:
        """Folder of a branch's trained folds."""
        return results_folder() / self.datasets[branch] / f"{BRANCHES[branch].trainer}__{plans}__{CONFIGURATION}"

    def manifest(self, plans: str) -> Path:
        """Manifest of the trained cascade."""
        return results_folder() / self.source / f"SOARS__{plans}" / MANIFEST

    def bundle_results(self, name: str) -> Path:
        """Folder of what a bundle predicted of the training cases."""
        return results_folder() / self.source / f"BUNDLE__{name}"

    def splits(self, branch: str = "anchor") -> list[dict[str, list[str]]]:
        """nnU-Net splits of a branch: one ``{"train": [...], "val": [...]}`` a fold.

        Raises:
            MissingArtifactError: If there are none, or they are none of the present cases.
        """
        path = self.preprocessed(branch) / "splits_final.json"
        data, known = read_json(path), frozenset(self.cases)
        advice = "run soars-stratify and soars-plan again, or restore the file"
        checked(data, str(path), lambda node: check_splits(node, known), advice=advice)
        return data

    def split_hash(self, branch: str) -> str:
        """Hash of a branch's split; further crops of a target leave it as it is."""
        return hash_of_splits(self.splits(branch))

    def patients(self, cases: Iterable[str]) -> set[str]:
        """Patients of some cases; a case whose name does not match the pattern is a patient of its own."""
        return {patient_of(case, self.patient_pattern) or case for case in cases}

    def train_command(self, branch: str, fold: int, plans: str = DEFAULT_PLANS) -> str:
        """The nnU-Net command that trains one fold of a branch."""
        name = self.datasets[branch]
        suffix = f" -p {plans}"
        if plans == DEFAULT_PLANS:
            suffix = f" -p {TRAINING_PLANS}" if self.training_plans(branch).is_file() else ""
        return f"nnUNetv2_train {int(name[7:10])} {CONFIGURATION} {fold} -tr {BRANCHES[branch].trainer}{suffix}"


def hash_of_splits(splits: Iterable[Mapping[str, Iterable[str]]]) -> str:
    """Hash of nnU-Net splits; further crops of a target leave it as it is."""
    own = []
    for split in splits:
        own.append({side: without_further_crops(cases) for side, cases in split.items()})
    return json_hash(own)
