"""Cascade prediction of files: a CT or a folder in, label volumes and reports out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from soars_nnunet.cascade.record import INFERENCE_REVISION
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct, read_header
from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.listing import list_cts
from soars_nnunet.prediction.memory import MemoryPlan, Needed, estimate, require_memory
from soars_nnunet.prediction.options import DEFAULT_OPTIONS, PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.succession import Job, Succession
from soars_nnunet.progress import Progress, silent


def predict_files(
    source: Path | Sequence[tuple[str, Path]],
    output: Path,
    manifest: Path,
    options: PredictionOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress = silent,
) -> list[Path]:
    """Segment every CT of a file or folder.

    Writes ``<case><ending>``, the report ``<case>.json``, and ``dataset.json`` with the label names.
    A finished case is kept if input, models and output still have the hashes in its report. A CT
    that cannot be used does not stop the others. While the networks run on a case, the next one is read, checked and
    oriented, and the one before is stitched and written; where memory does not suffice for that, one after the other.

    Args:
        source: CT file or folder, or case names and their CT files.
        output: Folder, made if need be.
        manifest: Of the trained cascade.
        options: How they are predicted, and which part of them.
        progress: Receives one line per case.

    Returns:
        The label files of this part, empty if it has no cases.

    Raises:
        InputError: If there are no CTs, or, after the others were done, if some were unusable or failed.
    """
    cases = _selected(source, output, options)
    if not cases:
        progress(f"part {options.part_id} of {options.num_parts}: no case")
        return []
    lone = _read_lone(*cases[0], options.memory_limit_gib) if len(cases) == 1 else None
    predictor = CascadePredictor(manifest, options)
    headers = {case: header for case, path in cases if (header := read_header(path))}
    needed = {case: _needed(predictor, header) for case, header in headers.items()}
    read = lone.GetNumberOfPixels() * lone.GetSizeOfPixelComponent() if lone else 0
    memory = MemoryPlan.of(needed, options.memory_limit_gib, read)
    progress(f"{len(cases)} CT(s); {memory.describe()}")
    write_json(output / "dataset.json", {"labels": predictor.labels, "profile": predictor.profile.name})
    common = {
        "models": {key: model.fingerprint for key, model in predictor.models.items()},
        "plans": {key: model.plans_hash for key, model in predictor.models.items()},
        "inference": INFERENCE_REVISION,
        "cascade": predictor.manifest.fingerprint,
        "mirror": options.mirror,
        "tiling": options.used_tiling.to_json(),
        "largest_part": predictor.largest_part,
        "organs": predictor.organs,
    }
    succession = Succession(predictor, memory, common, options.overwrite, progress, lone)
    jobs = [
        Job(f"[{index}/{len(cases)}] {case}", case, path, output / f"{case}{_ending(path)}", output / f"{case}.json")
        for index, (case, path) in enumerate(cases, 1)
    ]
    succession.run(jobs)
    if failed := succession.failed:
        raise InputError(f"{len(failed)} of {len(cases)} CTs were refused or failed: " + "; ".join(failed.values()))
    return [job.labels for job in jobs]


def _selected(
    source: Path | Sequence[tuple[str, Path]], output: Path, options: PredictionOptions
) -> Sequence[tuple[str, Path]]:
    """Cases of a part; refuses an output that is no folder or would overwrite a CT."""
    cases = list_cts(source) if isinstance(source, Path) else source
    cases = cases[options.part_id :: options.num_parts]
    if cases and output.is_file():
        raise InputError(f"-o {output}: expected a folder, got a file; name a folder")
    if isinstance(source, Path) and source.is_dir() and output.resolve() == source.resolve():
        raise InputError(f"-o {output}: expected another folder than the CTs', or labels are taken for CTs; name one")
    for case, path in cases:
        if case == "dataset":
            raise InputError(f"{path}: expected another name than that of dataset.json; rename the CT")
        if (output / f"{case}{_ending(path)}").resolve() == path.resolve():
            raise InputError(f"-o {output}: the labels of {case} would overwrite its CT {path}; name another folder")
    return cases


def _read_lone(case: str, path: Path, limit_gib: float | None) -> sitk.Image:
    """The only CT, checked: if it is bad, that is said before models are loaded."""
    if header := read_header(path):
        require_memory(2 * _pixel_bytes(header) * math.prod(header.GetSize()), limit_gib, case)
    return check_ct(read_ct(path), case)


def _needed(predictor: CascadePredictor, header: sitk.ImageFileReader) -> Needed:
    """Estimate for a CT whose size and spacing are known; the networks' frame may have its axes in another order."""
    vois_mm = [facts.size_mm for facts in predictor.manifest.targets.values()]
    size, spacing_mm = header.GetSize()[::-1], header.GetSpacing()[::-1]
    return estimate(size, spacing_mm, predictor.models.values(), vois_mm, _pixel_bytes(header))


def _pixel_bytes(header: sitk.ImageFileReader) -> int:
    """Of a voxel as stored."""
    return sitk.Image(1, 1, header.GetPixelID()).GetSizeOfPixelComponent()


def _ending(path: Path) -> str:
    return next((e for e in (".nii.gz", ".nrrd", ".mha") if path.name.lower().endswith(e)), ".nii.gz")
