"""After the demo: detection errors of the test phantoms, and a PNG of CT slices with contours.

Usage: python -m scripts.demo_report DEMO_OUTPUT
"""

import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib import colormaps
from matplotlib.figure import Figure

from soars_nnunet.html_report.contours import Slice, draw_slice
from soars_nnunet.profile import load_profile

TIER_COLORS = {"anchor": "Blues", "mid_level": "Greens", "small_hard": "autumn"}


def print_detection(output: Path, truth: Path) -> None:
    """Print the distance from each detected centre to the true centre of mass, per target over the cases."""
    profile = load_profile("hn42")
    errors: dict[str, list[float]] = {target: [] for target in profile.targets}
    absent = 0
    for report_path in sorted((output / "prediction").glob("phantom_*.json")):
        report = json.loads(report_path.read_text())
        image = sitk.ReadImage(str(truth / f"{report['case']}.nii.gz"))
        labels = sitk.GetArrayFromImage(image)
        for target, organs in profile.targets.items():
            found = report["targets"][target]
            if found["status"] == "absent":
                absent += 1
                continue
            center = np.argwhere(np.isin(labels, [o.label for o in organs])).mean(0)[::-1]
            center_mm = image.TransformContinuousIndexToPhysicalPoint(center.tolist())
            errors[target].append(float(np.linalg.norm(np.subtract(found["center_mm"], center_mm))))
    print("\ncentre error, mm   " + "  ".join(f"{t} {np.mean(e):.1f}" for t, e in errors.items() if e))
    everything = np.concatenate(list(errors.values()))
    total = len(everything) + absent
    print(f"mean {everything.mean():.2f} mm, largest {everything.max():.2f} mm; found {len(everything)} of {total}")


def draw_overlay(output: Path, raw: Path) -> None:
    """Draw axial, coronal and sagittal slices of the first test phantom, reference above prediction."""
    profile = load_profile("hn42")
    case = sorted((output / "prediction").glob("phantom_*.nii.gz"))[0].name
    ct, truth, prediction = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        for path in (
            raw / "imagesTs" / case.replace(".nii.gz", "_0000.nii.gz"),
            raw / "labelsTs" / case,
            output / "prediction" / case,
        )
    )
    chiasm = np.argwhere(truth == profile.by_name["OpticChiasm"].label).mean(0).round().astype(int)
    parotid = np.argwhere(truth == profile.by_name["Parotid_L"].label).mean(0).round().astype(int)
    views = [
        ("axial, orbits", 0, chiasm[0]),
        ("axial, parotids", 0, parotid[0]),
        ("coronal", 1, chiasm[1]),
        ("sagittal", 2, chiasm[2]),
    ]
    colors = {}
    for tier, colormap in TIER_COLORS.items():
        organs = profile.tier(tier)
        palette = colormaps[colormap](np.linspace(0.45, 0.95, len(organs)))[:, :3].tolist()
        colors |= {organ.label: tuple(color) for organ, color in zip(organs, palette, strict=True)}
    figure = Figure(figsize=(4 * len(views), 8.6))
    axes = figure.subplots(2, len(views))
    for row, (name, volume) in enumerate((("reference", truth), ("prediction", prediction))):
        for column, (title, axis, index) in enumerate(views):
            panel = axes[row, column]
            draw_slice(panel, ct, volume, Slice(axis, int(index)), colors=colors, window_hu=(-200, 300))
            panel.set_title(f"{name}: {title}", fontsize=10)
    figure.suptitle("synthetic CT; anchor blue, mid-level green, small & hard red to yellow")
    figure.tight_layout()
    figure.savefig(output / "overlay.png", dpi=80)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    dataset = folder / "nnUNet_raw" / "Dataset042_Phantom"
    print_detection(folder, dataset / "labelsTs")
    draw_overlay(folder, dataset)
