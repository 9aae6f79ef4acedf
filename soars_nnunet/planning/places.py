"""Where the training cases have a branch's organs: what prediction knows of new patients before it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from soars_nnunet.cascade.classes import branch_labels, partner_of
from soars_nnunet.cascade.not_annotated import classes_not_annotated
from soars_nnunet.cascade.plans_file import SETTINGS, PlansFile
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.geometry.reach import learn_reach, organ_spans, spans_of_both_sides
from soars_nnunet.geometry.sides import learn_sides
from soars_nnunet.settings.branch_settings import BranchSettings, MirrorOrder


@dataclass(frozen=True)
class Places:
    """What the training cases show.

    Attributes:
        spans: By case, how far each organ reaches from each anchor, as of ``organ_spans``; empty if no anchors guide.
        centers_mm: By case, (T, 3) centres of the detection targets; empty for other branches.
    """

    spans: dict[str, Any]
    centers_mm: dict[str, np.ndarray]


def learn_places(cascade: Cascade, branch: str, plans_name: str) -> None:
    """Complete a branch's plans by where the training cases of each fold have its organs.

    ``reach`` is relative to the anchors that guide the branch; an organ and its partner reach equally far, where the
    dataset has both sides of every paired organ. ``sides`` is how far apart left and right targets of detection are.
    """
    path = cascade.plans(branch, plans_name)
    plans = PlansFile.read(path)
    settings = plans.settings
    is_guided = branch != "small_hard" and bool(settings.guidance)
    if not is_guided and branch != "detection":
        return
    places = _read_places(cascade, branch, plans, is_guided)
    splits = cascade.splits(branch)
    if branch == "detection":
        settings = replace(settings, sides=_sides(cascade, places.centers_mm, splits))
    if is_guided:
        settings = replace(settings, reach=_reach(settings, places.spans, splits))
    plans.configuration[SETTINGS] = settings.to_json()
    write_json(path, plans.contents)


def _read_places(cascade: Cascade, branch: str, plans: PlansFile, is_guided: bool) -> Places:
    from soars_nnunet.cascade.stored_cases import load_preprocessed

    folder = cascade.data(branch, plans.contents["plans_name"])
    count = len(branch_labels(cascade, branch))
    targets = [(label,) for label in range(1, count + 1)]
    cut = _partly_annotated(cascade, branch)
    places = Places(spans={}, centers_mm={})
    for case in _training_cases(cascade.splits(branch)):
        data, labels, _ = load_preprocessed(folder, case)
        # an organ that goes on in ignored voxels does not show how far it reaches
        if case in cut:
            labels[np.isin(labels, cut[case])] = 0
        if is_guided:
            places.spans[case] = organ_spans(data[1:], labels[0], plans.spacing_mm, count)
        if branch == "detection":
            places.centers_mm[case] = organ_centers_mm(labels[0], targets, plans.spacing_mm)
    return places


def _partly_annotated(cascade: Cascade, branch: str) -> dict[str, list[int]]:
    """Labels of the classes that are not wholly annotated, by case."""
    classes = branch_labels(cascade, branch)
    values = {name: value for value, (name, _) in enumerate(classes, 1)}
    by_case = {}
    for case, names in classes_not_annotated(cascade.partly_annotated, classes).items():
        by_case[case] = [values[name] for name in names]
    return by_case


def _training_cases(splits: Sequence[Mapping[str, Sequence[str]]]) -> list[str]:
    cases: set[str] = set()
    for split in splits:
        cases.update(split["train"])
    return sorted(cases)


def _sides(cascade: Cascade, centers_mm: Mapping[str, np.ndarray], splits: Sequence[Mapping[str, Any]]) -> list:
    """How far apart left and right targets are, by fold."""
    names = [name for name, _ in branch_labels(cascade, "detection")]
    partners = [names.index(partner_of(cascade, name)) for name in names]
    sides = []
    for split in splits:
        of_fold = np.stack([centers_mm[case] for case in split["train"]])
        sides.append(learn_sides(of_fold, partners))
    return sides


def _reach(settings: BranchSettings, spans: Mapping[str, Any], splits: Sequence[Mapping[str, Any]]) -> list:
    """How far the organs reach from the anchors, by fold."""
    of_both_sides = _of_both_sides(settings.mirror, spans)
    reach = []
    for split in splits:
        reach.append(learn_reach([of_both_sides[case] for case in split["train"]]))
    return reach


def _of_both_sides(mirror: MirrorOrder, spans: Mapping[str, Any]) -> Mapping[str, Any]:
    """Spans by case in which an organ and its partner reach equally far; as they are without some partner."""
    if not mirror.channels or not mirror.classes:
        return spans
    # without CT and background, which come first
    anchors = [index - 1 for index in mirror.channels[1:]]
    organs = [index - 1 for index in mirror.classes[1:]]
    return {case: spans_of_both_sides(own, anchors, organs) for case, own in spans.items()}
