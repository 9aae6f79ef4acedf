"""Cascade prediction of files: a CT or a folder in, label volumes and reports out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from soars_nnunet.artifacts import (
    MANIFEST,
    Cascade,
    MissingArtifactError,
    file_hash,
    read_json,
    replacing,
    results_folder,
    write_json,
)
from soars_nnunet.ct import InputError, check_ct, list_cts, read_ct
from soars_nnunet.predict import CascadePredictor, find_manifest


def locate_manifest(dataset: str | None, models: Path | None, plans: str) -> Path:
    """Manifest named by a dataset or a model folder, or the only trained one.

    Raises:
        MissingArtifactError: If there is none.
    """
    if models is not None:
        path = models / MANIFEST if models.is_dir() else models
        if not path.is_file():
            raise MissingArtifactError(f"-m {models}: expected a cascade's folder with {MANIFEST}, found none")
        return path
    if dataset is None:
        return find_manifest(results_folder())
    path = Cascade.load(dataset).manifest(plans)
    if not path.is_file():
        raise MissingArtifactError(
            f"dataset {dataset}: expected {path}; run soars-plan -d {dataset} and train the cascade"
        )
    return path


def predict_files(
    source: Path | Sequence[tuple[str, Path]],
    output: Path,
    manifest: Path,
    *,
    folds: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    step_size: float | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda text: None,
    postprocess: bool = True,
    mirror: bool = False,
) -> list[Path]:
    """Segment every CT of a file or folder.

    Writes ``<case><ending>``, the report ``<case>.json``, and ``dataset.json`` with the label names.
    A finished case is kept if input, models and output still have the hashes in its report. A CT
    that cannot be used does not stop the others.

    Args:
        source: CT file or folder, or case names and their CT files.
        output: Folder, made if need be.
        manifest: Of the trained cascade.
        folds: Folds of every branch to average.
        device: Where the networks run.
        step_size: Sliding-window step as a fraction of the patch; None for the plans' own.
        overwrite: Predict again where a verified result exists.
        progress: Receives one line per case.
        postprocess: Keep only the largest part where ``soars-cross-validate`` found that it helps.
        mirror: Test-time augmentation: average every network with itself on the mirrored input.

    Returns:
        The label files.

    Raises:
        InputError: If there are no CTs, or, after the others were done, if some were unusable.
    """
    cases = list_cts(source) if isinstance(source, Path) else source
    if output.is_file():
        raise InputError(f"-o {output}: expected a folder, got a file; name a folder")
    for case, path in cases:
        if (output / f"{case}{_ending(path)}").resolve() == path.resolve():
            raise InputError(f"-o {output}: the labels of {case} would overwrite its CT {path}; name another folder")
    images, failed = {}, []
    if len(cases) == 1:
        # a lone bad input is reported before models are loaded
        images[cases[0][0]] = check_ct(read_ct(cases[0][1]), cases[0][0])
    predictor = CascadePredictor(
        manifest, folds=folds, device=device, step_size=step_size, postprocess=postprocess, mirror=mirror
    )
    write_json(output / "dataset.json", {"labels": predictor.labels, "profile": predictor.profile.name})
    models = {key: model.fingerprint for key, model in predictor.models.items()}
    steps = {key: model.steps for key, model in predictor.models.items()}
    written = []
    for index, (case, path) in enumerate(cases, 1):
        labels_path, report_path = output / f"{case}{_ending(path)}", output / f"{case}.json"
        key = {"input": file_hash(path), "models": models, "steps": steps, "mirror": mirror}
        key["largest_part"] = predictor.largest_part
        if not overwrite and _is_finished(labels_path, report_path, key):
            progress(f"[{index}/{len(cases)}] {case}: finished already, verified")
            written.append(labels_path)
            continue
        progress(f"[{index}/{len(cases)}] {case}")
        try:
            image = images.pop(case) if case in images else read_ct(path)
            labels, report = predictor.predict(image, case)
        except InputError as error:
            failed.append(str(error))
            progress(f"  refused: {error}")
            continue
        with replacing(labels_path) as temporary:
            sitk.WriteImage(labels, str(temporary), True)
        write_json(report_path, {**report, "sha256": {**key, "output": file_hash(labels_path)}})
        written.append(labels_path)
        progress(_line(report))
    if failed:
        raise InputError(f"{len(failed)} of {len(cases)} CTs were refused: " + "; ".join(failed))
    return written


def _ending(path: Path) -> str:
    return next((e for e in (".nii.gz", ".nrrd", ".mha") if path.name.lower().endswith(e)), ".nii.gz")


def _is_finished(labels: Path, report: Path, key: dict[str, Any]) -> bool:
    if not labels.is_file() or not report.is_file():
        return False
    try:
        recorded = read_json(report).get("sha256", {})
    except MissingArtifactError:
        return False
    return recorded == {**key, "output": file_hash(labels)}


def _line(report: dict[str, Any]) -> str:
    counts: dict[str, int] = {}
    for organ in report["organs"].values():
        counts[organ["status"]] = counts.get(organ["status"], 0) + 1
    text = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
    warnings = "".join(f"\n  warning: {warning}" for warning in report["warnings"])
    return f"  {text} in {sum(report['seconds'].values()):.1f} s{warnings}"
