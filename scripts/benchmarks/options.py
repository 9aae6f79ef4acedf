#!/usr/bin/env python
"""What each option of soars-cascade-predict gains and costs with trained weights: seconds, memory, DSC.

    python -m scripts.benchmarks.options -d 42 -i CTS -r LABELS -o OUT [--rounds 3]

Every row is the plain command on the whole folder in a fresh process, without largest parts; the rows take turns,
medians are printed. DSC is the mean over cases and the organs that were written, which --roi-subset makes fewer.
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripts import markdown
from scripts.benchmarks.inference import measure
from scripts.experiments.compare_inference import dice
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.images.label_map import read_label_map

ROWS = {
    "as predicted by default": [],
    "--tiling everywhere": ["--tiling", "everywhere"],
    "--tiling large": ["--tiling", "large"],
    "--fast": ["--fast"],
    "--tta": ["--tta"],
    "--roi-subset (the anchors)": ["--roi-subset"],
}
"""Options of each row; the last one's organs follow."""


def mean_dice(predicted: Path, reference: Path) -> float:
    """Mean over cases and organs, by the labels of the predicted dataset.json."""
    labels = read_json(predicted / "dataset.json")["labels"]
    values = []
    for path in sorted(predicted.glob("*.nii.gz")):
        ours = sitk.GetArrayFromImage(read_label_map(path))
        truth = sitk.GetArrayFromImage(read_label_map(reference / path.name))
        for label in labels.values():
            if label and (truth == label).any():
                values.append(dice(ours, truth, label))
    return float(np.mean(values))


def main() -> None:
    """Parse, run the rows in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--dataset", required=True, type=int)
    parser.add_argument("-i", "--input", required=True, type=Path, help="folder of CTs (.nii.gz)")
    parser.add_argument("-r", "--reference", required=True, type=Path, help="folder of label maps (.nii.gz)")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    manifest = Manifest.load(Cascade.load(options.dataset).manifest(DEFAULT_PLANS))
    anchors = manifest.branches["anchor"].classes
    command = ["soars-cascade-predict", "-d", str(options.dataset), "-i", str(options.input)]
    command += ["--device", options.device, "--no-postprocessing", "--overwrite"]
    runs: dict[str, list[dict]] = {name: [] for name in ROWS}
    for _ in range(options.rounds):
        for index, (name, extra) in enumerate(ROWS.items()):
            arguments = ["-o", str(options.output / str(index))] + extra
            if name.startswith("--roi-subset"):
                arguments += anchors
            row = measure(command + arguments, float("inf"))
            if row["died"]:
                raise SystemExit(f"error: {name} failed: {row['died']}")
            runs[name].append(row)
    print("\n".join(markdown.heading(["row", "s", "ratio", "peak GiB", "mean DSC"])))
    base = None
    for index, (name, done) in enumerate(runs.items()):
        seconds = float(np.median([run["seconds"] for run in done]))
        gib = float(np.median([run["gib"] for run in done]))
        base = base or seconds
        found = mean_dice(options.output / str(index), options.reference)
        print(markdown.row([name, f"{seconds:.1f}", f"{seconds / base:.2f}", f"{gib:.2f}", f"{found:.3f}"]))


if __name__ == "__main__":
    main()
