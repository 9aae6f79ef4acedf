"""Stratify a raw nnU-Net dataset into one raw dataset per branch (paper sec. 3.1).

CTs are referenced through ``dataset.json``'s ``dataset`` key, never copied; label maps are
rewritten with each tier's own consecutive labels. MidLevel and Detection start as CT-only
skeletons that ``soars-channels`` completes; SmallHard's crops are made there altogether.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.artifacts import (
    BRANCHES,
    UNANNOTATED,
    Branch,
    Cascade,
    find_dataset,
    json_hash,
    new_staging,
    publish,
    raw_folder,
    read_json,
    replacing,
    write_json,
)
from soars_nnunet.ct import InputError, check_ct, read_ct
from soars_nnunet.label_map import check_same_grid, read_label_map
from soars_nnunet.profile import Profile
from soars_nnunet.unannotated import read_unannotated, undrawn_classes

READER = "SimpleITKIOWithReorient"
CROSS_VALIDATION_SEED = 12345
"""nnU-Net's own seed for its five-fold split."""


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
    num_folds: int = 4,
    patient_pattern: str | None = None,
    progress: Callable[[str], None] = lambda text: None,
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
        unannotated: JSON file of organs not drawn by case, see ``read_unannotated``.
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

    listed = read_unannotated(unannotated, profile, cases) if unannotated else {}
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
            open_classes = undrawn_classes(result.undrawn, branch_labels(cascade, key))
            write_json(cascade.preprocessed(key) / UNANNOTATED, open_classes)
    cascade.save(
        num_folds=num_folds,
        split_sha256=json_hash(splits),
        cases=sorted(cases),
        empty=result.empty,
        unannotated=result.undrawn,
        patient_pattern=patient_pattern,
    )
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


def training_cases(source: str, dataset_json: dict) -> dict[str, tuple[Path, Path]]:
    """CT and label file of every training case of a raw dataset, as nnU-Net lists them.

    Raises:
        ValueError: If there are none or files are missing.
    """
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    folder = raw_folder() / source
    if "dataset" not in dataset_json and not (folder / "imagesTr").is_dir():
        raise InputError(
            f"{folder}: expected imagesTr/ and labelsTr/, or a 'dataset' list in dataset.json; found neither"
        )
    listed = get_filenames_of_train_images_and_targets(str(folder), dict(dataset_json))
    cases = {case: (Path(files["images"][0]), Path(files["label"])) for case, files in listed.items()}
    missing = [str(path) for pair in cases.values() for path in pair if not path.is_file()]
    if missing or not cases:
        what = f"missing files: {', '.join(missing[:5])}" if missing else "no cases"
        raise InputError(f"{source}: expected a CT and a label map per case, got {what}; complete the dataset")
    return cases


def split_patients(cases: list[str], num_folds: int, pattern: str | None = None) -> list[dict[str, list[str]]]:
    """nnU-Net splits in which no patient is on both sides of a fold.

    Raises:
        ValueError: If there are fewer patients than folds, or the pattern misses a case.
    """
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    try:
        compiled = re.compile(pattern or "(.*)")
    except re.error as error:
        raise InputError(
            f"patient pattern '{pattern}' is no regular expression ({error}); it needs one group"
        ) from error
    patients: dict[str, list[str]] = {}
    for case in cases:
        match = compiled.search(case)
        if match is None or not match.groups() or match.group(1) is None:
            raise InputError(f"patient pattern '{pattern}' finds no group in case '{case}'; it needs one group")
        patients.setdefault(match.group(1), []).append(case)
    if not 2 <= num_folds <= len(patients):
        raise InputError(f"expected 2 to {len(patients)} folds (one patient each at least), got {num_folds}")
    splits = generate_crossval_split(sorted(patients), seed=CROSS_VALIDATION_SEED, n_splits=num_folds)
    return [
        {side: sorted(c for p in split[side] for c in patients[p]) for side in ("train", "val")} for split in splits
    ]


def check_sides(labels: np.ndarray, image: sitk.Image, organs: dict[str, int], profile: Profile, case: str) -> None:
    """Check by geometry that every left organ lies on the patient's left (larger x in LPS) of its partner.

    Args:
        labels: (Z, Y, X) of the image's own voxel order.
        image: Image that gives the geometry.
        organs: Label by TG-263 name.
        profile: Gives the mirror partners.
        case: Name for the message.

    Raises:
        ValueError: If a pair is swapped.
    """
    for organ in profile.organs:
        if organ.side != "L" or organ.name not in organs or organ.mirror not in organs:
            continue
        x_mm = []
        for name in (organ.name, organ.mirror):
            voxels = np.argwhere(labels == organs[name])
            if len(voxels):
                center = voxels.mean(0)[::-1]
                x_mm.append(image.TransformContinuousIndexToPhysicalPoint(center.tolist())[0])
        if len(x_mm) == 2 and x_mm[0] <= x_mm[1]:
            raise InputError(
                f"{case}: {organ.name} lies {x_mm[1] - x_mm[0]:.0f} mm to the patient's right of {organ.mirror}; "
                "the labels or the image header are flipped: swap the two labels or mend the direction matrix"
            )


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
    check_sides(labels, image, cascade.labels, cascade.profile, case)
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


def branch_labels(cascade: Cascade, branch: str) -> list[tuple[str, list[str]]]:
    """Foreground classes of a branch in label order (1, 2, ...), each with the organs that it unites.

    Anchor, MidLevel and SmallHard have one class an organ; Detection has one a target. Organs that
    the source dataset lacks are left out.
    """
    organs = [o for o in cascade.profile.tier(BRANCHES[branch].tier) if o.name in cascade.labels]
    if branch != "detection":
        return [(organ.name, [organ.name]) for organ in organs]
    targets: dict[str, list[str]] = {}
    for organ in organs:
        targets.setdefault(organ.target or organ.name, []).append(organ.name)
    return list(targets.items())


def branch_dataset_json(cascade: Cascade, branch: str, channels: Sequence[str], num_cases: int, ending: str) -> dict:
    """dataset.json of a branch; guidance channels are 0 to 1 and named for nnU-Net's NoNormalization."""
    return {
        "channel_names": {"0": "CT", **{str(i): "noNorm" for i in range(1, len(channels) + 1)}},
        "labels": {"background": 0, **{name: i for i, (name, _) in enumerate(branch_labels(cascade, branch), 1)}},
        "numTraining": num_cases,
        "file_ending": ending,
        "overwrite_image_reader_writer": READER,
        "soars": {"branch": branch, "source": cascade.source, "guidance": list(channels)},
    }


def _write_dataset_json(
    cascade: Cascade, branch: Branch, folder: Path, cases: dict[str, tuple[Path, Path]], ending: str
) -> None:
    data = branch_dataset_json(cascade, branch.key, (), len(cases), ending)
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
