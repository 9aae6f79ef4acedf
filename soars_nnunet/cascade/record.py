"""Every dataset, folder, file and JSON that one step hands to the next.

Nothing else in the package builds a path. The steps meet in two JSON files:

* ``<nnUNet_preprocessed>/<source dataset>/soars_cascade.json`` (``Cascade``): which nnU-Net
  datasets the source was stratified into; written by ``soars-stratify``.
* ``<nnUNet_results>/<source dataset>/SOARS__<plans>/manifest.json``: what prediction needs to
  know about the trained branches; written by ``soars-plan``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.case_names import is_jittered
from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder, results_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.storage import json_hash, provenance, read_json, write_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.profile import Profile

DEFAULT_PLANS = "nnUNetPlans"

CHECKPOINT = "checkpoint_final.pth"

MANIFEST = "manifest.json"

POSTPROCESSING = "postprocessing.json"

TARGET_FACTS = "targets.json"

DETECTIONS = "detections.csv"

GENOTYPE = "genotype.json"

FINE_TUNING_PLANNER = "soars-plan --fine-tune"

INFERENCE_REVISION = 6
"""Of what networks are asked and how; outputs of another one are made again."""

GUIDANCE_FACTS = ("split_sha256", "models", "plans", "cases", "inference")
"""What out-of-fold output depends on, in its provenance.json; made again where one of them changes."""

UNANNOTATED = "unannotated.json"

PREPROCESSING_RECORD = "soars/made_from.json"
"""In a folder of its own: nnU-Net tells the format of preprocessed data by the endings of its files."""


def find_dataset(dataset: int | str) -> str:
    """Name of a raw dataset, from its id or name.

    Raises:
        MissingArtifactError: If there is none, or several share the id.
    """
    names = sorted(path.name for path in raw_folder().glob("Dataset*") if path.is_dir())
    text = str(dataset)
    found = [n for n in names if n == text or (text.isdigit() and n.startswith(f"Dataset{int(text):03d}_"))]
    if len(found) != 1:
        raise MissingArtifactError(
            f"dataset {text}: expected exactly one folder of that id or name in {raw_folder()}, got "
            f"{found or 'none'}; it holds: {', '.join(names) or 'no datasets'}"
        )
    return found[0]


@dataclass(frozen=True)
class Cascade:
    """A stratified source dataset: its profile and the nnU-Net datasets of its branches.

    Attributes:
        source: Name of the source dataset.
        profile: The organs.
        datasets: nnU-Net dataset name by branch key; only branches whose tier has organs.
        labels: Source dataset's label by TG-263 name (organs of the profile only).
    """

    source: str
    profile: Profile
    datasets: dict[str, str]
    labels: dict[str, int]

    @staticmethod
    def path(source: str) -> Path:
        """Where the record of a source dataset lies."""
        return preprocessed_folder() / source / "soars_cascade.json"

    @classmethod
    def load(cls, dataset: int | str) -> Cascade:
        """Read the record of a stratified source dataset (id or name).

        Raises:
            MissingArtifactError: If the dataset was not stratified.
        """
        source = find_dataset(dataset)
        if not cls.path(source).is_file():
            raise MissingArtifactError(
                f"{source} is not stratified: expected {cls.path(source)}; run: soars-stratify -d {dataset} -p PROFILE"
            )
        data = read_json(cls.path(source))
        return cls(source, Profile.from_dict(data["profile"]), data["datasets"], data["labels"])

    def save(self, **facts: Any) -> None:
        """Write the record, with any further facts for the reader."""
        data = {"source": self.source, "datasets": self.datasets, "labels": self.labels, **facts}
        write_json(self.path(self.source), {**data, "profile": self.profile.to_dict(), "provenance": provenance()})

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
        return tuple(BRANCHES[key] for key in BRANCHES if key in self.datasets)

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

    def options(self, plans: str) -> Path:
        """The user's last choices for these plans, which ``soars-plan`` takes up again."""
        return preprocessed_folder() / self.source / f"soars_options_{plans}.json"

    def channels(self, branch: str, plans: str, in_sample: bool = False) -> Path:
        """Folder of the output of a branch (``anchor`` or ``detection``) on its training cases: out of fold, or not."""
        return self.preprocessed(branch) / f"soars_channels_{plans}{'_in_sample' if in_sample else ''}"

    def model(self, branch: str, plans: str) -> Path:
        """Folder of a branch's trained folds."""
        return results_folder() / self.datasets[branch] / f"{BRANCHES[branch].trainer}__{plans}__{CONFIGURATION}"

    def manifest(self, plans: str) -> Path:
        """Manifest of the trained cascade."""
        return results_folder() / self.source / f"SOARS__{plans}" / MANIFEST

    def splits(self, branch: str = "anchor") -> list[dict[str, list[str]]]:
        """nnU-Net splits of a branch: one ``{"train": [...], "val": [...]}`` a fold."""
        return read_json(self.preprocessed(branch) / "splits_final.json")

    def split_hash(self, branch: str) -> str:
        """Hash of a branch's split, without further crops: which of them there are depends on the detection."""
        splits = self.splits(branch)
        return json_hash([{k: [c for c in cases if not is_jittered(c)] for k, cases in s.items()} for s in splits])

    def train_command(self, branch: str, fold: int, plans: str = DEFAULT_PLANS) -> str:
        """The nnU-Net command that trains one fold of a branch."""
        name = self.datasets[branch]
        suffix = "" if plans == DEFAULT_PLANS else f" -p {plans}"
        return f"nnUNetv2_train {int(name[7:10])} {CONFIGURATION} {fold} -tr {BRANCHES[branch].trainer}{suffix}"

    def trained_folds(self, branch: str, plans: str) -> list[int]:
        """Folds of a branch with a final checkpoint."""
        return trained_folds(self.model(branch, plans))

    def require_same_split(self, branch: str, plans: str) -> None:
        """Check that a branch was trained on the present split.

        Raises:
            MissingArtifactError: If not: its validation cases may have been in its training.
        """
        model = self.model(branch, plans)
        if PlansFile.read(model / "plans.json").split_sha256 != self.split_hash(branch):
            raise MissingArtifactError(
                f"{model}: trained on another split than {self.preprocessed(branch) / 'splits_final.json'}; "
                "retrain its folds after soars-plan, or restore the split"
            )

    def require_same_grid(self, branch: str, plans: str) -> None:
        """Check that a branch was trained at the spacing and CT unit at which its cases are preprocessed now.

        Raises:
            MissingArtifactError: If not.
        """
        model = self.model(branch, plans)
        trained = PlansFile.read(model / "plans.json").grid_and_units
        planned = PlansFile.read(self.plans(branch, plans)).grid_and_units
        if trained != planned:
            raise MissingArtifactError(
                f"{model}: trained at {trained}, its cases are now preprocessed at {planned}; "
                "rerun soars-plan with the former --spacing and hu_per_unit, or retrain the folds"
            )

    def require_folds(self, branch: str, plans: str, folds: Sequence[int] | None = None) -> None:
        """Check that folds of the split are trained: all of them, or only some.

        Raises:
            MissingArtifactError: Naming the missing folds and their commands, or folds that the split lacks.
        """
        known = range(len(self.splits()))
        unknown = sorted(set(folds or ()) - set(known))
        if unknown:
            raise MissingArtifactError(f"folds: expected some of {list(known)}, got {unknown}")
        missing = sorted(set(known if folds is None else folds) - set(self.trained_folds(branch, plans)))
        if missing:
            commands = "; ".join(self.train_command(branch, fold, plans) for fold in missing)
            raise MissingArtifactError(
                f"{self.datasets[branch]}: expected the models of every fold asked for, but fold(s) {missing} have no "
                f"{CHECKPOINT} in {self.model(branch, plans)} (fold 'all' cannot stand in); run: {commands}"
            )


def trained_folds(model_folder: Path) -> list[int]:
    """Numbered folds in a model folder that hold a final checkpoint, ascending; empty if there are none."""
    folds = (path.parent.name[5:] for path in model_folder.glob(f"fold_*/{CHECKPOINT}"))
    return sorted(int(fold) for fold in folds if fold.isdigit())
