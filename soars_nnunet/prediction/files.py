"""Cascade prediction of files: a CT or a folder in, label volumes and reports out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from soars_nnunet.cascade.stored_model import StoredCascade
from soars_nnunet.cascade.temporary import remove_abandoned
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct, read_header
from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.entry import name_fault, shown
from soars_nnunet.images.header import ImageHeader
from soars_nnunet.images.listing import Listed, list_images
from soars_nnunet.images.plausible import check_plausible
from soars_nnunet.prediction.finished import dependencies
from soars_nnunet.prediction.memory_estimate import Needed, estimate
from soars_nnunet.prediction.memory_plan import MemoryPlan, require_memory
from soars_nnunet.prediction.options import DEFAULT_OPTIONS, PredictionOptions
from soars_nnunet.prediction.output_folder import ENDINGS, claim, require_folder_of_predictions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.stale import note_stale
from soars_nnunet.prediction.succession import Job, Succession
from soars_nnunet.progress import Progress, silent
from soars_nnunet.schemas.names import case_problem, same_on_some_systems

Case = tuple[str, Path]
"""Case name and CT file."""


def predict_files(
    source: Path | Sequence[Case],
    output: Path,
    manifest: Path | StoredCascade,
    options: PredictionOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress = silent,
) -> list[Path]:
    """Segment every CT of a file or folder.

    Writes ``<case><ending>``, the report ``<case>.json``, and ``dataset.json`` with the label names.
    A finished case is kept if input, models and output still have the hashes in its report. A folder has one label
    table, which further organs extend; files that no prediction wrote are not overwritten. A CT
    that cannot be used does not stop the others. While the networks run on a case, the next one is read, checked and
    oriented, and the one before is stitched and written; where memory does not suffice for that, one after the other.

    Args:
        source: CT file or folder, or case names and their CT files.
        output: Folder, made if need be.
        manifest: Of the trained cascade, or a bundle: what ``CascadePredictor`` takes.
        options: How they are predicted, and which part of them.
        progress: Receives one line per case.

    Returns:
        The label files of this part, empty if it has no cases.

    Raises:
        InputError: If there are no CTs, the output is another dataset's or has another label table, or, after the
            others were done, if some were unusable or failed.
    """
    chosen = _choose_cases(source, output, options)
    if not chosen:
        progress(f"part {options.part_id} of {options.num_parts}: no case")
        return []
    refused = {listed.case: listed.fault for listed in chosen if listed.fault}
    cases = [(listed.case, listed.path) for listed in chosen if not listed.fault]
    if not cases:
        raise _refusal(refused, len(chosen))
    jobs = _jobs(cases, output)
    lone = _read_lone(jobs[0], options.memory_limit_gib) if len(chosen) == 1 else None
    predictor = CascadePredictor(manifest, options)
    memory = _plan_memory(predictor, cases, lone)
    progress(f"{len(cases)} CT(s); {memory.describe()}")
    claim(output, predictor.labels, predictor.profile.name, progress)
    succession = Succession(
        predictor=predictor,
        memory=memory,
        common=dependencies(predictor),
        overwrite=options.overwrite,
        progress=progress,
        lone=lone,
    )
    remove_abandoned(output)
    _say_of_names(cases, refused, progress)
    succession.run(jobs)
    refused |= succession.failed
    if refused:
        raise _refusal(refused, len(chosen))
    return [job.labels for job in jobs]


def _say_of_names(cases: Sequence[Case], refused: Mapping[str, str], progress: Progress) -> None:
    """Say which cases are one file on some systems, and which are refused before they are read."""
    for one, other in same_on_some_systems([case for case, _ in cases]):
        progress(f"warning: {one} and {other} are one file on Windows and macOS; rename one")
    for fault in refused.values():
        progress(f"  refused: {fault}")


def _refusal(refused: Mapping[str, str], count: int) -> InputError:
    """What is said at the end of cases that were refused or failed."""
    return InputError(f"{len(refused)} of {count} CTs were refused or failed: " + "; ".join(refused.values()))


def _choose_cases(source: Path | Sequence[Case], output: Path, options: PredictionOptions) -> list[Listed]:
    """Cases of a part, those with a fault too; refuses an output that is no folder or that of the CTs."""
    cases = list_images(source) if isinstance(source, Path) else [Listed(case, path) for case, path in source]
    cases = cases[options.part_id :: options.num_parts]
    output_fault = name_fault(str(output))
    if output_fault:
        raise InputError(f"-o {shown(output)}: {output_fault}")
    if cases and output.is_file():
        raise InputError(f"-o {output}: expected a folder, got a file; name a folder")
    if isinstance(source, Path) and source.is_dir() and output.resolve() == source.resolve():
        raise InputError(f"-o {output}: expected another folder than the CTs', or labels are taken for CTs; name one")
    if cases:
        require_folder_of_predictions(output)
    return [replace(listed, fault=listed.fault or _output_fault(listed, output)) for listed in cases]


def _output_fault(listed: Listed, output: Path) -> str:
    """Why the result of a case cannot be written; empty if nothing is known against it."""
    case, path = listed.case, listed.path
    problem = case_problem(case)
    if problem:
        return f"{path}: expected a name that a result can have, got '{case}', which {problem}; rename the CT"
    if _labels_file(case, path, output).resolve() == path.resolve():
        return f"-o {output}: the labels of {case} would overwrite its CT {path}; name another folder"
    return ""


def _jobs(cases: Sequence[Case], output: Path) -> list[Job]:
    jobs = []
    for number, (case, path) in enumerate(cases, 1):
        job = Job(
            title=f"[{number}/{len(cases)}] {case}",
            case=case,
            ct=path,
            labels=_labels_file(case, path, output),
            report=output / f"{case}.json",
        )
        jobs.append(job)
    return jobs


def _labels_file(case: str, ct: Path, output: Path) -> Path:
    """Where a case's labels are written: in the CT's own format where that can be."""
    name = ct.name.lower()
    for ending in ENDINGS:
        if name.endswith(ending):
            return output / f"{case}{ending}"
    return output / f"{case}{ENDINGS[0]}"


def _read_lone(only: Job, limit_gib: float | None) -> sitk.Image:
    """The only CT, checked: if it is bad, that is said before models are loaded."""
    header = read_header(only.ct)
    try:
        if header:
            require_memory(2 * header.bytes, limit_gib, only.case)
        image = check_ct(read_ct(only.ct), only.case)
        check_plausible(image, only.case)
        return image
    except InputError as error:
        raise InputError(f"{error}{note_stale(only.ct, only.labels, only.report)}") from error


def _plan_memory(predictor: CascadePredictor, cases: Sequence[Case], lone: sitk.Image | None) -> MemoryPlan:
    """What the cases need whose headers make sense, and what there is.

    Args:
        predictor: With its networks loaded.
        cases: All of them.
        lone: The only CT, if it is read already.
    """
    needed = {}
    for case, path in cases:
        header = read_header(path)
        if header:
            needed[case] = _needed(predictor, header)
    read = lone.GetNumberOfPixels() * lone.GetSizeOfPixelComponent() if lone else 0
    return MemoryPlan.of(needed, predictor.options.memory_limit_gib, read)


def _needed(predictor: CascadePredictor, header: ImageHeader) -> Needed:
    """Estimate for a CT whose size and spacing are known; the networks' frame may have its axes in another order."""
    vois_mm = [facts.size_mm for facts in predictor.manifest.targets.values()]
    size, spacing_mm = header.size[::-1], header.spacing_mm[::-1]
    return estimate(size, spacing_mm, predictor.models.values(), vois_mm, pixel_bytes=header.voxel_bytes)
