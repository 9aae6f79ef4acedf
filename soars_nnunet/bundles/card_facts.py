"""What a card is made of, read before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from soars_nnunet.bundles.card import Text
from soars_nnunet.bundles.card_evaluation import LabelledEvaluation
from soars_nnunet.bundles.training_facts import OrganPatients, Training
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card says.

    Attributes:
        name: Of the bundle.
        created: When it is made, UTC, ISO 8601.
        precision: ``fp16`` or ``fp32``.
        manifest: Of the cascade.
        plans: Plans that each branch was trained with.
        trainings: Of every branch and fold in the bundle, in the order of training.
        patients: Annotated patients by organ; None where the stratified dataset is not at hand.
        largest_part: Organs of which prediction keeps the largest part alone; None where nothing was decided.
        out_of_fold: Evaluation of the training patients; None without.
        without_evaluation: Why there is none.
        evaluations: Further ones.
        stated: What the authors state, by key of the form.
    """

    name: str
    created: str
    precision: str
    manifest: Manifest
    plans: Mapping[str, PlansFile]
    trainings: tuple[Training, ...]
    patients: tuple[OrganPatients, ...] | None = None
    largest_part: tuple[str, ...] | None = None
    out_of_fold: LabelledEvaluation | None = None
    without_evaluation: str = ""
    evaluations: tuple[LabelledEvaluation, ...] = ()
    stated: Mapping[str, Text] = field(default_factory=dict)

    def of_branch(self, branch: str) -> list[Training]:
        """Trainings of a branch."""
        return [training for training in self.trainings if training.branch == branch]

    @property
    def num_patients(self) -> int:
        """Patients that any fold of any branch was trained on."""
        patients: set[str] = set()
        for branch in self.manifest.branches.values():
            for of_fold in branch.training_patients:
                patients.update(of_fold)
        return len(patients)

    @property
    def organs(self) -> list[str]:
        """Organs that are segmented, in the profile's order."""
        found: set[str] = set()
        for key, branch in self.manifest.branches.items():
            if key != "detection":
                found.update(branch.classes)
        return [organ.name for organ in self.manifest.profile.organs if organ.name in found]
