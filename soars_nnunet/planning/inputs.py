"""Whether what a branch is planned from is there, complete, and made from the present models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.classes import IGNORE, branch_labels
from soars_nnunet.cascade.record import DEFAULT_PLANS, GUIDANCE_FACTS, TARGET_FACTS, Cascade
from soars_nnunet.cascade.storage import read_object
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.guidance.crops import detection_of_crops
from soars_nnunet.guidance.out_of_fold import guidance_record
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.prediction.tiling import Tiling, tiling_options


@dataclass(frozen=True)
class Inputs:
    """What a branch is planned from.

    Attributes:
        channels: Folder of guidance channels for the preprocessor; None for images as they are.
        missing: What is still to be made, in words; None if nothing is.
    """

    channels: Path | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Guide:
    """The branch that guides another, and its stored output.

    Attributes:
        key: Of the guiding branch.
        plans: Name of its plans.
        channels: Folder of its output on the training cases.
        in_sample: Whether that is of models that trained on the case.
        dataset: Source dataset, for commands.
    """

    key: str
    plans: str
    channels: Path
    in_sample: bool
    dataset: str

    def command(self) -> str:
        """The command that makes the output again, as it was made."""
        text = f"soars-channels -d {self.dataset}"
        if self.in_sample:
            text += " --in-sample"
        if self.plans != DEFAULT_PLANS:
            text += f" --plans-name {self.plans}"
        made_from = read_object(self.channels / "provenance.json")
        return text + tiling_options(Tiling.from_json(made_from.get("tiling", {})))


def find_inputs(cascade: Cascade, branch: str, options: PlanOptions) -> Inputs:
    """What a branch is planned from, as far as it is there.

    Raises:
        MissingArtifactError: If it is there, but made from other models, plans or cases than the present ones.
    """
    guided_by = BRANCHES[branch].guided_by
    if guided_by is None or (branch != "small_hard" and options.guidance == "none"):
        return Inputs()
    guide = _guide(cascade, branch, guided_by, options)
    if not _is_completed(cascade, branch, guide):
        kind, option = ("in-sample", " --in-sample") if guide.in_sample else ("out-of-fold", "")
        return Inputs(
            missing=f"{kind} output of {BRANCHES[guided_by].suffix}: train all its folds, "
            f"then run soars-channels -d {cascade.source}{option}"
        )
    _require_present_models(cascade, guide)
    if branch != "small_hard":
        return Inputs(channels=guide.channels)
    _require_own_crops(cascade, guide)
    return Inputs()


def _guide(cascade: Cascade, branch: str, guided_by: str, options: PlanOptions) -> Guide:
    in_sample = options.is_in_sample(branch)
    plans = cascade.plans_of(guided_by, options.plans_name)
    return Guide(
        key=guided_by,
        plans=plans,
        channels=cascade.channels(guided_by, plans, in_sample),
        in_sample=in_sample,
        dataset=cascade.source,
    )


def _is_completed(cascade: Cascade, branch: str, guide: Guide) -> bool:
    """Whether soars-channels has finished a guided dataset, under the present profile."""
    path = cascade.raw(branch) / "dataset.json"
    if not (guide.channels / "provenance.json").is_file() or not path.is_file():
        return False
    if branch == "small_hard" and not (guide.channels / TARGET_FACTS).is_file():
        return False
    dataset_json = read_object(path)
    guides = [name for name, _ in branch_labels(cascade, guide.key)]
    classes = [name for name, _ in branch_labels(cascade, branch)]
    origin = dataset_json.get("soars") or {}
    named = [name for name in dataset_json.get("labels") or () if name != IGNORE]
    return origin.get("guidance") == guides and named == ["background", *classes]


def _require_present_models(cascade: Cascade, guide: Guide) -> None:
    made_from = read_object(guide.channels / "provenance.json")
    present = guidance_record(cascade, guide.key, guide.plans)
    stale = [fact for fact in GUIDANCE_FACTS if made_from.get(fact) != present[fact]]
    if stale:
        raise MissingArtifactError(
            f"{guide.channels}: made from other {', '.join(stale).replace('split_sha256', 'split')} of "
            f"{BRANCHES[guide.key].suffix} than the present; rerun: {guide.command()}"
        )


def _require_own_crops(cascade: Cascade, guide: Guide) -> None:
    crops = cascade.raw("small_hard")
    made_by = (read_object(crops / "dataset.json").get("soars") or {}).get("detection")
    if made_by != detection_of_crops(cascade, guide.plans):
        raise MissingArtifactError(
            f"{crops}: its crops were made by another detection than that of {guide.plans} (a dataset has one set of "
            f"crops); rerun: {guide.command()}"
        )
