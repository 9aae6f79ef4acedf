"""Pictures of what demo.sh segmented, and for the phantoms how far detected centres are off.

    python -m scripts.demo_report real DEMO_OUTPUT [-o FOLDER]
    python -m scripts.demo_report phantoms DEMO_OUTPUT [-o FOLDER]

The first draws the real CT that lies in demo/, the second the first test phantom; reference above prediction.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib import colormaps

from scripts import overlay
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.html_report import contours
from soars_nnunet.html_report.contours import Color, Slice
from soars_nnunet.profile import Organ, Profile, load_profile

TIER_COLORS = {"anchor": "Blues", "mid_level": "Greens", "small_hard": "autumn"}
"""Colour map of each tier's organs."""
WINDOW_HU = (-200, 300)
CASE = "openkbp_233"
"""The real CT."""
REAL_CT = Path(__file__).parents[1] / "demo" / CASE
MARGIN_MM = 60.0
"""Around the organs of the real CT, so that arms and shoulders do not make its slices small."""
REFERENCE, PREDICTION = "reference", "prediction"


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
            if found["status"] in ("not_found", "absent"):
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


def draw_phantom(demo: Path, path: Path) -> None:
    """Draw axial, coronal and sagittal slices of the first test phantom."""
    profile = load_profile("hn42")
    dataset, prediction = demo / "nnUNet_raw" / "Dataset042_Phantom", demo / "prediction"
    case = sorted(prediction.glob("phantom_*.nii.gz"))[0].name
    labels: dict[str, tuple[Path, Path | None]] = {
        REFERENCE: (dataset / "labelsTs" / case, None),
        PREDICTION: (prediction / case, None),
    }
    ct = dataset / "imagesTs" / case.replace(".nii.gz", "_0000.nii.gz")
    volumes = overlay.read_volumes(ct, labels, profile)
    chiasm = volumes.middle(REFERENCE, profile.by_name["OpticChiasm"].label)
    parotid = volumes.middle(REFERENCE, profile.by_name["Parotid_L"].label)
    views = {
        "axial, orbits": Slice(0, chiasm[0]),
        "axial, parotids": Slice(0, parotid[0]),
        "coronal": Slice(1, chiasm[1]),
        "sagittal": Slice(2, chiasm[2]),
    }
    title = "synthetic CT; anchor blue, mid-level green, small & hard red to yellow"
    figure = overlay.draw_rows(volumes, views, organ_colors(profile), window_hu=WINDOW_HU, title=title)
    overlay.save(figure, path)


def draw_real(prediction: Path, path: Path) -> None:
    """Draw axial, coronal and sagittal slices of the real CT.

    Args:
        prediction: Folder of its prediction.
        path: PNG that is written.
    """
    profile = load_profile("openkbp7")
    labels: dict[str, tuple[Path, Path | None]] = {
        REFERENCE: (REAL_CT / "labels" / f"{CASE}.nii.gz", REAL_CT / "dataset.json"),
        PREDICTION: (prediction / f"{CASE}.nii.gz", prediction / "dataset.json"),
    }
    volumes = overlay.read_volumes(REAL_CT / "images" / f"{CASE}_0000.nii.gz", labels, profile)
    volumes = volumes.cropped(REFERENCE, MARGIN_MM)
    parotid = volumes.middle(REFERENCE, profile.by_name["Parotid_L"].label)
    larynx = volumes.middle(REFERENCE, profile.by_name["Larynx"].label)
    cord = volumes.middle(REFERENCE, profile.by_name["SpinalCord"].label)
    views = {
        "axial, parotids": Slice(0, parotid[0]),
        "axial, larynx": Slice(0, larynx[0]),
        "coronal": Slice(1, parotid[1]),
        "sagittal": Slice(2, cord[2]),
    }
    by_name = contours.drawn_colors({organ.name: organ.label for organ in profile.organs})
    colors = {organ.label: by_name[organ.name] for organ in profile.organs}
    title = "OpenKBP patient 233; the mandible is not annotated in the reference"
    figure = overlay.draw_rows(volumes, views, colors, window_hu=WINDOW_HU, title=title, legend=by_name)
    overlay.save(figure, path)


def organ_colors(profile: Profile) -> Mapping[int, Color]:
    """Colour (red, green, blue; 0 to 1) by label: a range of one colour map a tier."""
    colors = {}
    for tier, colormap in TIER_COLORS.items():
        organs = profile.tier(tier)
        shades = colormaps[colormap](np.linspace(0.45, 0.95, len(organs)))
        for organ, shade in zip(organs, shades, strict=True):
            red, green, blue = shade[:3].tolist()
            colors[organ.label] = (red, green, blue)
    return colors


def main() -> None:
    """Parse, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "phantoms"))
    parser.add_argument("demo", type=Path, metavar="DEMO_OUTPUT", help="what demo.sh wrote")
    parser.add_argument("-o", "--output", type=Path, help="folder of the picture (default: in DEMO_OUTPUT)")
    options = parser.parse_args()
    if options.what == "real":
        folder = options.demo / "real"
        draw_real(folder / "prediction", (options.output or folder) / "real_ct.png")
        return
    print_detection(options.demo / "prediction", options.demo / "nnUNet_raw" / "Dataset042_Phantom" / "labelsTs")
    draw_phantom(options.demo, (options.output or options.demo) / "overlay.png")


if __name__ == "__main__":
    main()
