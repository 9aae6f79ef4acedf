"""Writers of each public set's layout from one phantom, and readers of what an import made of it."""

import numpy as np
import SimpleITK as sitk

from soars_nnunet.importing.public_sets import load_set
from soars_nnunet.profile import load_profile

SHAPE, SPACING_MM = (48, 40, 40), (6.0, 6.0, 6.0)
HN42 = load_profile("hn42")


def organ(phantom, *names):
    return np.isin(phantom.labels, [HN42.by_name[name].label for name in names])


def write(path, array, phantom, flip=False):
    """Write an array on the phantom's grid; flipped, the header says that x runs to the patient's right."""
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
    image.CopyInformation(phantom.ct_image())
    if flip:
        image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
        image.SetOrigin([-image.GetOrigin()[0], *image.GetOrigin()[1:]])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)
    return path


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def found(done, kind):
    return sorted((finding.text, finding.case) for finding in done.findings if finding.kind == kind)


def written(done, case, split="Tr"):
    """Mask by structure name of a written label map."""
    labels = read(done.folder / f"labels{split}" / f"{case}.nii.gz")
    return {name: labels == value for name, value in done.labels.items()}


PDDCA = {
    "BrainStem": ("Brainstem",),
    "Mandible": ("Bone_Mandible_L", "Bone_Mandible_R"),
    "Parotid_L": ("Parotid_L",),
    "Parotid_R": ("Parotid_R",),
    "Submandibular_L": ("Glnd_Submand_L",),
    "Submandibular_R": ("Glnd_Submand_R",),
    "Chiasm": ("OpticChiasm",),
    "OpticNerve_L": ("OpticNrv_L",),
    "OpticNerve_R": ("OpticNrv_R",),
}


def write_pddca(folder, phantom, case, leave_out=(), swap=False, flip=False):
    write(folder / case / "img.nrrd", phantom.ct_hu, phantom, flip)
    (folder / case / f"{case}.fcsv").write_text("# landmarks\n")
    for name, organs in PDDCA.items():
        if name in leave_out:
            continue
        target = name.replace("_L", "_X").replace("_R", "_L").replace("_X", "_R") if swap else name
        write(folder / case / "structures" / f"{target}.nrrd", organ(phantom, *organs), phantom, flip)


def write_pddca_set(folder, phantom):
    """Two training cases, an optional one, one of each test part; contours lacking as in the real set."""
    write_pddca(folder / "PDDCA-1.4.1_part1", phantom, "0522c0002", ("Submandibular_L", "Submandibular_R"))
    write_pddca(folder / "PDDCA-1.4.1_part1", phantom, "0522c0328")
    write_pddca(folder / "PDDCA-1.4.1_part2", phantom, "0522c0330", ("Mandible",))
    write_pddca(folder / "PDDCA-1.4.1_part3", phantom, "0522c0555")
    write_pddca(folder / "PDDCA-1.4.1_part4", phantom, "0522c0788", ("Chiasm",))
    (folder / "PDDCA-1.4.1_part1/0522c0328/structures/BrainStem.nrrd").rename(
        folder / "PDDCA-1.4.1_part1/0522c0328/structures/brainstem.nrrd"
    )
    return folder


DEEPMIND = {
    "Brainstem": ("Brainstem",),
    "Mandible": ("Bone_Mandible_L", "Bone_Mandible_R"),
    "Spinal-Cord": ("SpinalCord",),
    **{
        f"{theirs}-{side}t": (f"{ours}_{side}",)
        for theirs, ours in (
            ("Cochlea", "Cochlea"),
            ("Lacrimal", "Glnd_Lacrimal"),
            ("Optic-Nerve", "OpticNrv"),
            ("Orbit", "Eye"),
            ("Parotid", "Parotid"),
            ("Submandibular", "Glnd_Submand"),
        )
        for side in "LR"
    },
}


def cube(z, y, x, size=3):
    mask = np.zeros(SHAPE, bool)
    mask[z : z + size, y : y + size, x : x + size] = True
    return mask


def deepmind_masks(phantom):
    masks = {name: organ(phantom, *organs) for name, organs in DEEPMIND.items()}
    for side in "LR":
        eye = np.argwhere(masks[f"Orbit-{side}t"])
        masks[f"Lens-{side}t"] = np.zeros(SHAPE, bool)
        masks[f"Lens-{side}t"][tuple(eye[eye[:, 1].argmin()])] = True
        masks[f"Lung-{side}t"] = cube(0, 20, 28 if side == "L" else 8)
    low, high = np.argwhere(masks["Brainstem"]).min(0) - 1, np.argwhere(masks["Brainstem"]).max(0) + 2
    masks["Brain"] = np.zeros(SHAPE, bool)
    masks["Brain"][tuple(map(slice, low, high))] = True
    masks["Spinal-Canal"] = masks["Spinal-Cord"] | np.roll(masks["Spinal-Cord"], 1, 1)
    assert len(masks) == 21
    return masks


def write_deepmind(folder, phantom, group, observer, case, ct=True, separator="-", change=None):
    place = folder / "nrrds" / group / observer / case
    masks = deepmind_masks(phantom)
    for name, mask in (change or (lambda m: m))(masks).items():
        path = (
            place / "segmentations" / f"{name.replace('-Lt', separator + 'Lt').replace('-Rt', separator + 'Rt')}.nrrd"
        )
        write(path, mask, phantom)
    if ct:
        write(place / "CT_IMAGE.nrrd", phantom.ct_hu, phantom)


def write_deepmind_set(folder, phantom):
    grown = {
        "oncologist": lambda m: m,
        "radiographer": lambda m: {**m, "Parotid-Lt": m["Parotid-Lt"] & (np.arange(40) % 2 == 0)},
    }
    for observer, change in grown.items():
        write_deepmind(folder, phantom, "validation", observer, "0522c0727a", change=change)
        write_deepmind(folder, phantom, "test", observer, "TCGA-CV-A6JO", separator="_", change=change)
    return folder


def hanseg_masks(phantom):
    table = load_set("hanseg")
    masks = {}
    columns = iter(range(0, 40, 2))
    for row in table.structures:
        known = HN42.resolve(row.name)
        if len(row.published) == 2:
            eye = organ(phantom, known.name)
            front = np.arange(40)[:, None] < np.argwhere(eye)[:, 1].mean()
            masks |= {row.published[0]: eye & front, row.published[1]: eye & ~front}
        elif known:
            masks[row.published[0]] = organ(phantom, known.name)
        elif not row.name.startswith("Eye"):
            column = next(columns)
            x = {"L": 30, "R": 8}.get(row.name[-1], 19) if row.name[-2] == "_" else 19
            masks[row.published[0]] = cube(2, column, x, 2)
    assert len(masks) == 30
    return masks


def segrap_cubes():
    """Label map with a cube for each of the 54 labels; the lower label of a pair lies on the left."""
    midline = {1, 2, 3, 34, 35, *range(46, 55)}
    labels = np.zeros(SHAPE, np.uint8)
    for value in range(1, 55):
        z, y = 3 * (value // 13), 3 * (value % 13)
        x = 18 if value in midline else 26 if value % 2 == 0 else 10
        labels[z : z + 2, y : y + 2, x : x + 2] = value
    return labels


def write_segrap(folder, phantom, case, one_hot, labels):
    place = folder / "SegRap2023_Training_Set_120cases" / case
    write(place / "image.nii.gz", phantom.ct_hu, phantom)
    write(place / "image_contrast.nii.gz", phantom.ct_hu + np.int16(7), phantom)
    write(place / "GTVp.nii.gz", labels == 5, phantom)
    if one_hot:
        tasks = folder / "SegRap2023_Training_Set_120cases_OneHot_Labels"
        write(tasks / "Task001" / f"{case}.nii.gz", labels, phantom)
        write(tasks / "Task002" / f"{case}.nii.gz", labels, phantom)
        return
    for row in load_set("segrap2023").structures:
        if row.labels:
            mask = np.isin(labels, row.labels).astype(np.float64) * 255  # as published
            write(place / f"{row.published[0]}.nii.gz", mask, phantom)


def write_openkbp(folder, phantom, number, leave_out=()):
    """The documented format, written voxel by voxel: axes to posterior, left and inferior."""
    place = folder / ("train-pats" if number <= 200 else "test-pats") / f"pt_{number}"
    place.mkdir(parents=True)
    z, y, x = (i.ravel() for i in np.indices(SHAPE))
    flat = (y * 128 + x) * 128 + (127 - z)
    stored = phantom.ct_hu.ravel() + 1000.0
    inside = stored > 0
    rows = [f"{i},{v}\n" for i, v in zip(flat[inside], stored[inside], strict=True)]
    (place / "ct.csv").write_text(",data\n" + "".join(rows))
    for name, organs in (
        ("Brainstem", ("Brainstem",)),
        ("SpinalCord", ("SpinalCord",)),
        ("LeftParotid", ("Parotid_L",)),
        ("RightParotid", ("Parotid_R",)),
        ("Mandible", ("Bone_Mandible_L", "Bone_Mandible_R")),
        ("Larynx", ("Larynx",)),
        ("Esophagus", ("Esophagus",)),
        ("PTV70", ("Larynx",)),
    ):
        if name not in leave_out:
            rows = [f"{i},\n" for i in flat[organ(phantom, *organs).ravel()]]
            (place / f"{name}.csv").write_text(",data\n" + "".join(rows))
    (place / "voxel_dimensions.csv").write_text("3.5\n4.0\n2.5\n")
    (place / "possible_dose_mask.csv").write_text(",data\n1,\n")
    return place


def write_masks(folder, phantom, case, organs=("Brainstem", "Parotid_L", "Parotid_R"), prefix="mask_"):
    write(folder / case / "image.nii.gz", phantom.ct_hu, phantom)
    for name in organs:
        write(folder / case / f"{prefix}{name}.nii.gz", organ(phantom, name), phantom)
