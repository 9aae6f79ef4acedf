"""What the label maps of a stratified dataset show of its organs, and the cases that lie otherwise than the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import SimpleITK as sitk

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.anatomy.learn import learn_anatomy
from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.order import require_order
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.source_cases import source_cases
from soars_nnunet.errors import InputError
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.organ_measures import measure_organs
from soars_nnunet.progress import Progress, silent

Measures = Mapping[str, OrganMeasure]
"""By organ."""


def with_anatomy(cascade: Cascade, progress: Progress = silent) -> Cascade:
    """The cascade with what its label maps show of the organs; as it was where they are gone, which is said.

    Args:
        cascade: The stratified dataset; kept as it is where it knows already.
        progress: Receives a line.
    """
    if cascade.anatomy.organs:
        return cascade
    try:
        return replace(cascade, anatomy=learn_from_labels(cascade, progress))
    except ValueError as error:
        progress(f"volumes of the training cases are not recorded: {error}")
        return cascade


def learn_from_labels(cascade: Cascade, progress: Progress = silent) -> AnatomyFacts:
    """Learn from the source's label maps what an earlier version did not record.

    Args:
        cascade: The stratified dataset.
        progress: Receives a line before the maps are read.

    Raises:
        InputError: If a label map of the training cases is missing or cannot be read.
    """
    files = source_cases(cascade)
    progress(f"volumes of {len(cascade.cases)} training cases: reading label maps")
    cases = []
    for case in cascade.cases:
        image = read_label_map(files[case].labels)
        measures = measure_organs(sitk.GetArrayViewFromImage(image), image, cascade.labels)
        lacking = {*cascade.not_annotated.get(case, ()), *cascade.partly_annotated.get(case, ())}
        cases.append(wholly_drawn(measures, lacking))
    return learn_anatomy(cases)


def wholly_drawn(measures: Measures, not_annotated: Collection[str]) -> dict[str, OrganMeasure]:
    """Measures of the organs that are not listed as not annotated: contours of others may be parts."""
    return {name: measure for name, measure in measures.items() if name not in not_annotated}


def turned_cases(cases: Mapping[str, Measures]) -> dict[str, str]:
    """Cases that lie the other way round than the others, and what is said of them.

    Args:
        cases: Measures by case; those that lie against the table of known organs are refused earlier.
    """
    learnt = learn_anatomy(list(cases.values()))
    turned = {}
    for case, measures in cases.items():
        try:
            require_order(measures, learnt, case=case)
        except InputError as error:
            turned[case] = str(error)
    return turned
