#!/usr/bin/env python
"""Synthetic CTs on the real organ shapes of the DeepMind/TCIA label maps, as a raw nnU-Net dataset.

    python -m scripts.experiments.paint_label_maps PATH/TO/labelmaps_oncologist -d 16

The set's label maps number the organs in alphabetical order of their file names. CTs are made from them alone: each
organ and its surroundings (body, skull, orbital fat, temporal bone with cavities like the cochlea's) get an
intensity that varies from patient to patient, with partial volume, coarse texture and noise. They are no patients' CTs.
The field of view ends below the mandible. Written are the anchors and the small & hard organs of ``hn42``.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.storage import replacing, write_json
from soars_nnunet.images.label_map import read_label_map

PUBLISHED = (
    "Brain Brainstem Cochlea-Lt Cochlea-Rt Lacrimal-Lt Lacrimal-Rt Lens-Lt Lens-Rt Lung-Lt Lung-Rt Mandible "
    "Optic-Nerve-Lt Optic-Nerve-Rt Orbit-Lt Orbit-Rt Parotid-Lt Parotid-Rt Spinal-Canal Spinal-Cord Submandibular-Lt "
    "Submandibular-Rt"
).split()
"""Organs of label 1, 2, ... in the set's label maps."""
WRITTEN = {
    "Brainstem": ("Brainstem",),
    "SpinalCord": ("Spinal-Cord",),
    "Eye_L": ("Orbit-Lt", "Lens-Lt"),
    "Eye_R": ("Orbit-Rt", "Lens-Rt"),
    "Cochlea_L": ("Cochlea-Lt",),
    "Cochlea_R": ("Cochlea-Rt",),
    "Glnd_Lacrimal_L": ("Lacrimal-Lt",),
    "Glnd_Lacrimal_R": ("Lacrimal-Rt",),
    "OpticNrv_L": ("Optic-Nerve-Lt",),
    "OpticNrv_R": ("Optic-Nerve-Rt",),
    "Bone_Mandible_R": ("Mandible",),
    "Bone_Mandible_L": ("Mandible",),
}
"""Published organs of each written one; the mandible is halved at its middle."""
HU = {
    **dict.fromkeys(("Brain", "Brainstem", "Spinal-Cord"), 35.0),
    "Spinal-Canal": 10.0,
    "Mandible": 800.0,
    **{f"{organ}-{side}": hu for side in ("Lt", "Rt") for organ, hu in (
        ("Orbit", 15.0), ("Lens", 70.0), ("Optic-Nerve", 35.0), ("Lacrimal", 40.0), ("Cochlea", 120.0),
        ("Parotid", -5.0), ("Submandibular", 45.0), ("Lung", -800.0),
    )},
}  # fmt: skip
AIR, SOFT_TISSUE, FAT, SKULL, PETROUS = -1000.0, 30.0, -90.0, 900.0, 1000.0
SPREAD_HU, TEXTURE_HU, NOISE_HU = 10.0, 25.0, 15.0
"""Standard deviations: of an organ's mean over patients, of the soft tissue's texture, of the noise."""
MARGIN_MM = 25.0


class UnknownLabelError(ValueError):
    """A label map has a label that the set does not know."""


def crop(labels: np.ndarray, spacing_mm: np.ndarray) -> tuple[slice, ...]:
    """Field of view: the head from below the mandible upwards, with a margin in-plane."""
    head = np.isin(labels, [1 + PUBLISHED.index(name) for name in ("Brain", "Mandible", "Parotid-Lt", "Parotid-Rt")])
    box = ndimage.find_objects(head.astype(np.uint8))[0]
    grow = np.ceil(MARGIN_MM / spacing_mm * (0.4, 1, 1)).astype(int)
    return tuple(slice(max(0, side.start - g), side.stop + g) for side, g in zip(box, grow, strict=True))


def distance_mm(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """How far each voxel (Z, Y, X) is from a mask."""
    return ndimage.distance_transform_edt(~mask, sampling=spacing_mm).astype(np.float32)


def paint(labels: np.ndarray, spacing_mm: np.ndarray, seed: int) -> np.ndarray:
    """CT (Z, Y, X) int16 of a label map."""
    generator = np.random.default_rng(seed)
    masks = {name: labels == 1 + index for index, name in enumerate(PUBLISHED)}

    def smooth(sigma_mm: float) -> np.ndarray:
        noise = ndimage.gaussian_filter(
            generator.standard_normal(labels.shape).astype(np.float32), sigma_mm / spacing_mm
        )
        return noise / noise.std()

    texture = smooth(5)
    ct = np.where(distance_mm(labels > 0, spacing_mm) < 16 + 3 * smooth(15), SOFT_TISSUE + TEXTURE_HU * texture, AIR)
    inside = masks["Brain"] | masks["Brainstem"]
    ct[(distance_mm(inside, spacing_mm) < 7) & ~inside] = SKULL + 150 * generator.standard_normal()
    for side in ("Lt", "Rt"):
        orbit = masks[f"Orbit-{side}"] | masks[f"Lacrimal-{side}"] | masks[f"Optic-Nerve-{side}"]
        ct[distance_mm(orbit, spacing_mm) < 6] = FAT
        petrous = distance_mm(masks[f"Cochlea-{side}"], spacing_mm) < 14 + 3 * smooth(6)
        ct[petrous & ~inside] = PETROUS
        ct[petrous & ~inside & (smooth(2) > 1.6)] = HU["Cochlea-Lt"]
    for name, mask in masks.items():
        ct[mask] = HU[name] + SPREAD_HU * generator.standard_normal()
    brain = inside | masks["Spinal-Cord"]
    ct[brain] += 0.3 * TEXTURE_HU * texture[brain]
    ct = ndimage.gaussian_filter(ct, 0.6 / spacing_mm) + NOISE_HU * generator.standard_normal(ct.shape)
    return np.clip(np.rint(ct), -1024, 3071).astype(np.int16)


def to_written(labels: np.ndarray) -> np.ndarray:
    """Labels of the new dataset (Z, Y, X), uint8; X grows to the patient's left."""
    done = np.zeros(labels.shape, np.uint8)
    for label, (name, sources) in enumerate(WRITTEN.items(), 1):
        mask = np.isin(labels, [1 + PUBLISHED.index(source) for source in sources])
        if name == "Bone_Mandible_L":
            mask[..., : int(ndimage.center_of_mass(mask)[2])] = False
        done[mask] = label
    return done


def write_case(path: Path, seed: int, folder: Path) -> str:
    """Write the CT and the labels of a label map; returns what they are.

    Raises:
        UnknownLabelError: If it has a label that the set does not know.
    """
    case = path.name.removesuffix(".nii.gz")
    image = sitk.DICOMOrient(read_label_map(path), "LPS")
    array, spacing_mm = sitk.GetArrayFromImage(image), np.array(image.GetSpacing()[::-1])
    if array.max() > len(PUBLISHED):
        raise UnknownLabelError(f"{path}: expected labels 0 to {len(PUBLISHED)}, got {array.max()}")
    box = crop(array, spacing_mm)
    array = array[box]
    for name, volume in (
        (f"imagesTr/{case}_0000", paint(array, spacing_mm, seed)),
        (f"labelsTr/{case}", to_written(array)),
    ):
        written = sitk.GetImageFromArray(volume)
        written.SetSpacing(image.GetSpacing())
        written.SetOrigin(image.TransformIndexToPhysicalPoint([int(side.start) for side in box[::-1]]))
        with replacing(folder / f"{name}.nii.gz") as temporary:
            sitk.WriteImage(written, str(temporary), True)
    return f"{case}: {array.shape} voxels of {np.round(spacing_mm, 2)} mm"


def write_cases(files: list[Path], folder: Path, processes: int) -> Iterator[str]:
    """Write every label map's case; yields what each is."""
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(write_case, files, range(len(files)), repeat(folder))


def main() -> None:
    """Parse, paint every label map, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelmaps", type=Path)
    parser.add_argument("-d", "--dataset", type=int, required=True, help="id of the new dataset")
    parser.add_argument("-np", type=int, default=1, help="processes (default: 1)")
    options = parser.parse_args()
    files = sorted(options.labelmaps.glob("*.nii.gz"))
    if not files:
        sys.exit(f"error: {options.labelmaps}: expected label maps (*.nii.gz), found none; check the path")
    folder = raw_folder() / f"Dataset{options.dataset:03d}_PaintedDeepMind"
    try:
        for index, text in enumerate(write_cases(files, folder, options.np), 1):
            print(f"[{index}/{len(files)}] {text}", flush=True)
    except UnknownLabelError as error:
        sys.exit(f"error: {error}")
    facts = {"channel_names": {"0": "CT"}, "labels": {"background": 0, **{n: i for i, n in enumerate(WRITTEN, 1)}}}
    facts |= {"description": "Synthetic CTs on real organ shapes (DeepMind/TCIA, CC BY 4.0, Nikolov et al. 2018)"}
    write_json(folder / "dataset.json", {**facts, "numTraining": len(files), "file_ending": ".nii.gz"})


if __name__ == "__main__":
    main()
