"""The commands as data: names, one line each, examples. Console scripts, help and docs follow this table."""

from __future__ import annotations

from dataclasses import dataclass

FRONT_DOOR = "soars-nnunet"
"""Program that lists and runs all commands."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: What the user types after ``soars-nnunet``, and after ``soars-`` where there is a console script.
        module: Module of ``soars_nnunet.cli`` with ``add_arguments``, ``run`` and ``main``.
        summary: One line: what the command does.
        example: A line that can be typed as it is, or with paths of the user's own.
        details: Short sentences: what it reads and writes, and what comes next.
        is_script: Whether the command has a console script of its own.
    """

    name: str
    module: str
    summary: str
    example: str
    details: str
    is_script: bool = True

    @property
    def program(self) -> str:
        """The command as its help calls it."""
        return f"soars-{self.name}" if self.is_script else f"{FRONT_DOOR} {self.name}"

    @property
    def import_path(self) -> str:
        """Full name of the command's module."""
        return f"soars_nnunet.cli.{self.module}"


_TABLE = (
    Command(
        name="info",
        module="info",
        summary="Print versions, profiles with their organs, trained cascades and bundles.",
        example="soars-nnunet info",
        details="Loads no network. Looks for cascades where nnUNet_results points to, and for bundles.",
        is_script=False,
    ),
    Command(
        name="env",
        module="env",
        summary="Print the line that lets plain nnU-Net commands find the trainers.",
        example='eval "$(soars-env)"',
        details="The line sets nnUNet_extTrainer. nnUNetv2_train needs it in every new shell.",
    ),
    Command(
        name="phantom",
        module="phantom",
        summary="Draw synthetic head-and-neck CTs with 42 organs as a raw nnU-Net dataset.",
        example="soars-phantom -d 42 --train 8 --test 3",
        details="The same seed gives the same patients. Next: soars-stratify.",
    ),
    Command(
        name="import",
        module="import_set",
        summary="Write a public data set, or masks of your own, as a raw nnU-Net dataset.",
        example="soars-import masks CLINIC -d 17 -p hn42",
        details="Reads a set as it was unpacked; downloads nothing. Lists everything odd in import_report.txt.\n"
        "Next: soars-stratify.",
    ),
    Command(
        name="stratify",
        module="stratify",
        summary="Stratify a raw nnU-Net dataset into one dataset per branch.",
        example="soars-stratify -d 7 -p hn42",
        details="Also writes the split, patient by patient. CTs are referenced, not copied. Next: soars-plan.",
    ),
    Command(
        name="plan",
        module="plan",
        summary="Plan and preprocess every branch whose inputs exist.",
        example="soars-plan -d 7",
        details="Rerun it after each soars-channels: it then plans the branches that were waiting.\n"
        "Options are remembered for the plans' name; a rerun needs none. Next: nnUNetv2_train.",
    ),
    Command(
        name="channels",
        module="channels",
        summary="Make the out-of-fold anchor probabilities, and heat maps and VOI crops once they can be.",
        example="soars-channels -d 7",
        details="Each case is seen only by the fold's model that did not train on it. Next: soars-plan again.",
    ),
    Command(
        name="cascade-predict",
        module="cascade_predict",
        summary="Segment CTs with the trained cascade: one label volume and one report per CT.",
        example="soars-cascade-predict -i CT_OR_FOLDER -o OUT",
        details="Takes the cascade that is named, or the only one that is trained, or the bundle openkbp7 that ships.\n"
        "Finished cases are verified and kept, so an interrupted run can be repeated.",
    ),
    Command(
        name="cross-validate",
        module="cross_validate",
        summary="Predict and score every training case with its own fold's models.",
        example="soars-cross-validate -d 7",
        details="Also decides for each organ whether later predictions keep only its largest part.",
    ),
    Command(
        name="bundle",
        module="bundle",
        summary="Pack a trained cascade into one safe file; verify, install, list or describe such files.",
        example="soars-bundle make -d 7 -o neck.zip --name neck",
        details="A bundle holds weights, settings and a model card, no patient data. Nothing in it is executed.",
    ),
    Command(
        name="evaluate",
        module="evaluate",
        summary="Score predictions per organ, tier and target, or compare methods that were scored.",
        example="soars-evaluate -p OUT -r LABELS --profile hn42",
        details="Writes CSV, JSON, Markdown and LaTeX tables.",
    ),
    Command(
        name="report",
        module="report",
        summary="Write one self-contained HTML file for an evaluation, or for each prediction.",
        example="soars-report -p OUT -i CT_OR_FOLDER",
        details="The files open offline in any browser.",
    ),
)

COMMANDS = {command.name: command for command in _TABLE}
"""All commands by name, in the order in which they are used."""
