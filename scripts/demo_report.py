"""After the demo: detection errors of the test phantoms, and a PNG of CT slices with contours.

python -m scripts.demo_report DEMO_OUTPUT [-o FOLDER]
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib import colormaps
from matplotlib.figure import Figure

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.html_report.contours import Slice, draw_slice
from soars_nnunet.profile import Organ, Profile, load_profile

TIER_COLORS = {"anchor": "Blues", "mid_level": "Greens", "small_hard": "autumn"}
"""Colour map of each tier's organs."""
WINDOW_HU = (-200, 300)


def print_detection(prediction: Path, truth: Path) -> None:
    """Print the distance from each detected centre to the true centre of mass, per target over the cases."""
    profile = load_profile("hn42")
    errors_mm: dict[str, list[float]] = {target: [] for target in profile.targets}
    absent = 0
    for path in sorted(prediction.glob("phantom_*.json")):
        report = read_json(path)
        image = sitk.ReadImage(str(truth / f"{report['case']}.nii.gz"))
        for target, organs in profile.targets.items():
            found = report["targets"][target]
            if found["status"] == "absent":
                absent += 1
                continue
            gap_mm = np.subtract(found["center_mm"], true_center_mm(image, organs))
            errors_mm[target].append(float(np.linalg.norm(gap_mm)))
    parts, everything = [], []
    for target, values in errors_mm.items():
        if values:
            parts.append(f"{target} {np.mean(values):.1f}")
            everything += values
    total = len(everything) + absent
    if not everything:
        print(f"\nfound 0 of {total} detection targets")
        return
    print("\ncentre error, mm   " + "  ".join(parts))
    print(f"mean {np.mean(everything):.2f} mm, largest {max(everything):.2f} mm; found {len(everything)} of {total}")


def true_center_mm(image: sitk.Image, organs: Sequence[Organ]) -> tuple[float, ...]:
    """Centre of mass (x, y, z) of a target's organs in a label map, in the patient's coordinates."""
    labels = sitk.GetArrayFromImage(image)
    mask = np.isin(labels, [organ.label for organ in organs])
    center_vox = np.argwhere(mask).mean(0)[::-1]
    return image.TransformContinuousIndexToPhysicalPoint(center_vox.tolist())


def draw_overlay(prediction: Path, dataset: Path, path: Path) -> None:
    """Draw axial, coronal and sagittal slices of the first test phantom, reference above prediction."""
    profile = load_profile("hn42")
    case = sorted(prediction.glob("phantom_*.nii.gz"))[0].name
    ct = read_array(dataset / "imagesTs" / case.replace(".nii.gz", "_0000.nii.gz"))
    truth = read_array(dataset / "labelsTs" / case)
    chiasm = middle(truth, profile, "OpticChiasm")
    parotid = middle(truth, profile, "Parotid_L")
    views = {
        "axial, orbits": Slice(0, chiasm[0]),
        "axial, parotids": Slice(0, parotid[0]),
        "coronal": Slice(1, chiasm[1]),
        "sagittal": Slice(2, chiasm[2]),
    }
    colors = organ_colors(profile)
    figure = Figure(figsize=(4 * len(views), 8.6))
    axes = figure.subplots(2, len(views))
    volumes = {"reference": truth, "prediction": read_array(prediction / case)}
    for row, (name, volume) in enumerate(volumes.items()):
        for column, (title, view) in enumerate(views.items()):
            panel = axes[row, column]
            draw_slice(panel, ct, volume, view, colors=colors, window_hu=WINDOW_HU)
            panel.set_title(f"{name}: {title}", fontsize=10)
    figure.suptitle("synthetic CT; anchor blue, mid-level green, small & hard red to yellow")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def read_array(path: Path) -> np.ndarray:
    """Volume (Z, Y, X) of an image file."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def middle(labels: np.ndarray, profile: Profile, organ: str) -> list[int]:
    """Voxel (Z, Y, X) nearest to an organ's centre of mass."""
    center_vox = np.argwhere(labels == profile.by_name[organ].label).mean(0)
    return center_vox.round().astype(int).tolist()


def organ_colors(profile: Profile) -> Mapping[int, tuple[float, ...]]:
    """Colour (red, green, blue; 0 to 1) by label: a range of one colour map a tier."""
    colors = {}
    for tier, colormap in TIER_COLORS.items():
        organs = profile.tier(tier)
        shades = colormaps[colormap](np.linspace(0.45, 0.95, len(organs)))
        for organ, shade in zip(organs, shades, strict=True):
            colors[organ.label] = tuple(shade[:3].tolist())
    return colors


def main() -> None:
    """Parse, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, metavar="DEMO_OUTPUT", help="what demo.sh wrote")
    parser.add_argument("-o", "--output", type=Path, help="folder for overlay.png (default: DEMO_OUTPUT)")
    options = parser.parse_args()
    dataset = options.demo / "nnUNet_raw" / "Dataset042_Phantom"
    print_detection(options.demo / "prediction", dataset / "labelsTs")
    draw_overlay(options.demo / "prediction", dataset, (options.output or options.demo) / "overlay.png")


if __name__ == "__main__":
    main()
