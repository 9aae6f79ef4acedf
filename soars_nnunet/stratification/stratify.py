"""Stratify a raw nnU-Net dataset into one raw dataset per branch (paper sec. 3.1).

CTs are referenced through ``dataset.json``'s ``dataset`` key, never copied; label maps are
rewritten with each tier's own consecutive labels. MidLevel and Detection start as CT-only
skeletons that ``soars-channels`` completes; SmallHard's crops are made there altogether.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.classes import branch_dataset_json, branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import classes_not_annotated, read_not_annotated
from soars_nnunet.cascade.raw_cases import find_dataset, training_cases
from soars_nnunet.cascade.record import NOT_ANNOTATED, Cascade
from soars_nnunet.cascade.storage import json_hash, new_staging, publish, read_json, replacing, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.label_map import check_same_grid, read_label_map
from soars_nnunet.images.sides import check_sides
from soars_nnunet.paper import stated
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress, silent
from soars_nnunet.stratification.splits import split_patients

NUM_FOLDS: int = stated("folds")
"""Folds of the cross-validation, unless told otherwise."""


@dataclass
class Stratification:
    """What ``stratify`` made and what it noticed.

    Attributes:
        cascade: The written record.
        unknown: Dataset organs that the profile does not know.
        absent: Profile organs that the dataset does not name.
        empty: Per case, profile organs of the dataset without a voxel.
        undrawn: Per case, organs that are there but not contoured: the training leaves them open.
        assumed: The part of ``undrawn`` that no list names: organs without a voxel.
        unused: Per case, organs with a contour that is not used because they are listed as not drawn.
    """

    cascade: Cascade
    unknown: list[str]
    absent: list[str]
    empty: dict[str, list[str]] = field(default_factory=dict)
    undrawn: dict[str, list[str]] = field(default_factory=dict)
    assumed: dict[str, list[str]] = field(default_factory=dict)
    unused: dict[str, list[str]] = field(default_factory=dict)

    def note(self, case: str, empty: list[str], listed: list[str], empty_means_absent: bool) -> None:
        """Take in a case: its organs without a voxel, and those listed as not drawn."""
        assumed = [] if empty_means_absent else [name for name in empty if name not in listed]
        open_organs = [name for name in self.cascade.labels if name in (*listed, *assumed)]
        unused = [name for name in listed if name not in empty]
        tables = (self.empty, self.undrawn, self.assumed, self.unused)
        for table, names in zip(tables, (empty, open_organs, assumed, unused), strict=True):
            if names:
                table[case] = names

    def require_contours(self, cases: Collection[str]) -> None:
        """Check that every organ is drawn in some case.

        Raises:
            InputError: Naming the organs that are not.
        """
        without = {case: {*self.empty.get(case, ()), *self.undrawn.get(case, ())} for case in cases}
        never = [name for name in self.cascade.labels if all(name in names for names in without.values())]
        if never:
            raise InputError(
                f"{self.cascade.source}: no case has a contour of {', '.join(never)}; "
                "remove these names from dataset.json's labels"
            )


def stratify(
    dataset: int | str,
    profile: Profile,
    ids: Sequence[int] | None = None,
    num_folds: int = NUM_FOLDS,
    patient_pattern: str | None = None,
    progress: Progress = silent,
    unannotated: Path | None = None,
    empty_means_absent: bool = False,
    baseline: bool = False,
) -> Stratification:
    """Write the branch datasets, the patient-level split and the cascade record of a raw dataset.

    Args:
        dataset: Id or name of a raw nnU-Net dataset with one CT channel.
        profile: Organs and tiers.
        ids: Dataset ids for Anchor, MidLevel, Detection, SmallHard and, if wanted, Baseline; by default
            ten times the source id plus 1 to 5.
        num_folds: Folds of the cross-validation; the paper uses 4 (sec. 4.1).
        patient_pattern: Regular expression whose first group is the patient in a case name; by
            default every case is a patient of its own.
        progress: Receives one line per case.
        unannotated: JSON file of organs not drawn by case, see ``read_not_annotated``.
        empty_means_absent: An organ without a voxel is truly absent; otherwise it counts as not drawn.
        baseline: Also write a dataset of all organs, for ``SOARSBaselineTrainer`` or any nnU-Net trainer.

    Raises:
        ValueError: If no organ of the profile is in the dataset, a label map lies on another grid
            than its CT, left and right organs lie on the wrong sides, or ids are taken.
    """
    source = find_dataset(dataset)
    dataset_json = _read_dataset_json(source)
    labels, unknown, absent = match_labels(dataset_json["labels"], profile)
    tiers = {organ.tier for organ in profile.organs if organ.name in labels} | ({"all"} if baseline else set())
    if "anchor" not in tiers:
        raise InputError(
            f"{source}: expected anchor organs of profile '{profile.name}' "
            f"({', '.join(o.name for o in profile.tier('anchor'))}), got labels {', '.join(dataset_json['labels'])}; "
            "choose another profile or add aliases to a profile of your own"
        )
    names = _dataset_names(source, [b for b in BRANCHES.values() if b.tier in tiers], ids)
    cascade = Cascade(source, profile, names, labels)
    cases = training_cases(source, dataset_json)
    splits = split_patients(sorted(cases), num_folds, patient_pattern)

    listed = read_not_annotated(unannotated, profile, cases) if unannotated else {}
    result = Stratification(cascade, unknown, absent)
    with ExitStack() as stack:
        folders = {b.key: cascade.raw(b.key) for b in cascade.networks if b.key != "small_hard"}
        staging = {key: stack.enter_context(new_staging(folder)) for key, folder in folders.items()}
        for index, (case, (image, label)) in enumerate(sorted(cases.items()), 1):
            blank = [name for name in listed.get(case, ()) if name in labels]
            missing = _stratify_case(case, image, label, cascade, staging, dataset_json["file_ending"], blank)
            result.note(case, missing, blank, empty_means_absent)
            progress(f"[{index}/{len(cases)}] {case}" + (f" (empty: {', '.join(missing)})" if missing else ""))
        result.require_contours(cases)
        for key, folder in staging.items():
            _write_dataset_json(cascade, BRANCHES[key], folder, cases, dataset_json["file_ending"])
            publish(folder, cascade.raw(key))
            write_json(cascade.preprocessed(key) / "splits_final.json", splits)
            open_classes = classes_not_annotated(result.undrawn, branch_labels(cascade, key))
            write_json(cascade.preprocessed(key) / NOT_ANNOTATED, open_classes)
    result.cascade = replace(
        cascade,
        num_folds=num_folds,
        split_sha256=json_hash(splits),
        cases=tuple(sorted(cases)),
        empty=result.empty,
        not_annotated=result.undrawn,
        patient_pattern=patient_pattern,
    )
    result.cascade.save()
    return result


def _read_dataset_json(source: str) -> dict:
    path = raw_folder() / source / "dataset.json"
    data = read_json(path)
    needed = {"channel_names": dict, "labels": dict, "file_ending": str}
    if not isinstance(data, dict) or not all(isinstance(data.get(key), kind) for key, kind in needed.items()):
        raise InputError(f"{path}: expected nnU-Net's keys {', '.join(needed)}, got others; complete the file")
    if len(data["channel_names"]) != 1:
        raise InputError(
            f"{source}: expected one channel (CT), got {data['channel_names']}; stratify a CT-only dataset"
        )
    return data


def match_labels(labels: dict[str, int], profile: Profile) -> tuple[dict[str, int], list[str], list[str]]:
    """Source label by TG-263 name, dataset organs unknown to the profile, profile organs not in the dataset.

    Raises:
        ValueError: If two dataset labels mean one organ, or one label belongs to two organs.
    """
    found: dict[str, int] = {}
    unknown = []
    for name, value in labels.items():
        if name in ("background", "ignore"):
            continue
        organ = profile.resolve(name)
        if not isinstance(value, int):
            raise InputError(
                f"dataset.json: expected one integer for label '{name}', got {value}; regions are unusable"
            )
        if organ is None:
            unknown.append(name)
        elif organ.name in found or value in found.values():
            raise InputError(
                f"dataset.json: two organs with one label, or two labels for one organ, at '{name}' "
                f"({organ.name}, label {value}); give each organ one name and one number"
            )
        else:
            found[organ.name] = value
    return found, unknown, [organ.name for organ in profile.organs if organ.name not in found]


def _dataset_names(source: str, branches: list[Branch], ids: Sequence[int] | None) -> dict[str, str]:
    number, _, stem = source[7:].partition("_")
    base = 10 * (int(number) % 100 or 90)
    count = 5 if any(branch.key == "baseline" for branch in branches) else 4
    ids = list(ids) if ids is not None else [base + i for i in range(1, count + 1)]
    if len(ids) != count or len(set(ids)) != count or not all(0 < i < 1000 for i in ids):
        raise InputError(f"--ids: expected {count} different dataset ids between 1 and 999, got {ids}")
    wanted = dict(zip(BRANCHES, ids, strict=False))
    names = {b.key: f"Dataset{wanted[b.key]:03d}_{stem}_{b.suffix}" for b in branches}
    for name in names.values():
        taken = [p.name for p in raw_folder().glob(f"{name[:11]}*") if p.name != name]
        if taken:
            raise InputError(f"dataset id {name[7:10]} is taken by {taken[0]}; choose others with --ids")
    return names


def _stratify_case(
    case: str,
    image_path: Path,
    label_path: Path,
    cascade: Cascade,
    staging: dict[str, Path],
    ending: str,
    undrawn: Sequence[str],
) -> list[str]:
    """Check one case and write its label map for each staged branch; returns the organs without a voxel.

    Classes of organs listed as not drawn stay empty, whatever the map holds of them.
    """
    image = read_label_map(label_path)
    check_same_grid(image, image_path, case)
    check_ct(read_ct(image_path), case)
    labels = sitk.GetArrayViewFromImage(image)
    highest = max(max(cascade.labels.values()), int(labels.max()))
    count = np.bincount(labels.ravel(), minlength=highest + 1)
    check_sides(labels, image, cascade.labels, cascade.profile, case=case)
    for key, folder in staging.items():
        lookup = np.zeros(highest + 1, np.uint8)
        for value, (_, members) in enumerate(branch_labels(cascade, key), 1):
            for member in members if set(members).isdisjoint(undrawn) else ():
                lookup[cascade.labels[member]] = value
        mapped = sitk.GetImageFromArray(lookup[labels])
        mapped.CopyInformation(image)
        with replacing(folder / "labelsTr" / f"{case}{ending}") as temporary:
            sitk.WriteImage(mapped, str(temporary), True)
    return [name for name, value in cascade.labels.items() if count[value] == 0]


def _write_dataset_json(
    cascade: Cascade, branch: Branch, folder: Path, cases: dict[str, tuple[Path, Path]], ending: str
) -> None:
    data = branch_dataset_json(cascade, branch.key, (), num_cases=len(cases), ending=ending)
    name = cascade.datasets[branch.key]
    data["dataset"] = {
        case: {"images": [_portable(image)], "label": f"$nnUNet_raw/{name}/labelsTr/{case}{ending}"}
        for case, (image, _) in sorted(cases.items())
    }
    write_json(folder / "dataset.json", data)


def _portable(path: Path) -> str:
    """Path below ``$nnUNet_raw`` where it lies there (links are not followed), else absolute."""
    try:
        return f"$nnUNet_raw/{path.absolute().relative_to(raw_folder().absolute())}"
    except ValueError:
        return str(path.absolute())
