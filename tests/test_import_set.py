"""Each published layout, filled with tiny phantoms, and everything that real folders have wrong with them."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet import cli
from soars_nnunet.artifacts import read_json
from soars_nnunet.ct import InputError
from soars_nnunet.import_set import import_set
from soars_nnunet.phantom import make_phantom
from soars_nnunet.profile import load_profile
from soars_nnunet.public_sets import load_set
from soars_nnunet.stratify import stratify
from soars_nnunet.unannotated import read_unannotated

SHAPE, SPACING_MM = (48, 40, 40), (6.0, 6.0, 6.0)
HN42 = load_profile("hn42")


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(4, SHAPE, SPACING_MM)


@pytest.fixture(autouse=True)
def raw(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("nnUNet_extTrainer", "")
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield tmp_path / "nnUNet_raw"
    root.handlers[:] = handlers


def organ(phantom, *names):
    return np.isin(phantom.labels, [HN42.by_name[name].label for name in names])


def write(path, array, phantom, flip=False):
    """Write an array on the phantom's grid; flipped, the header says that x runs to the patient's right."""
    image = phantom.ct_image()
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


@pytest.fixture
def pddca(tmp_path, phantom):
    """Two training cases, an optional one, one of each test part; contours lacking as in the real set."""
    folder = tmp_path / "PDDCA"
    write_pddca(folder / "PDDCA-1.4.1_part1", phantom, "0522c0002", ("Submandibular_L", "Submandibular_R"))
    write_pddca(folder / "PDDCA-1.4.1_part1", phantom, "0522c0328")
    write_pddca(folder / "PDDCA-1.4.1_part2", phantom, "0522c0330", ("Mandible",))
    write_pddca(folder / "PDDCA-1.4.1_part3", phantom, "0522c0555")
    write_pddca(folder / "PDDCA-1.4.1_part4", phantom, "0522c0788", ("Chiasm",))
    (folder / "PDDCA-1.4.1_part1/0522c0328/structures/BrainStem.nrrd").rename(
        folder / "PDDCA-1.4.1_part1/0522c0328/structures/brainstem.nrrd"
    )
    return folder


@pytest.mark.parametrize(
    ("choice", "training", "test"),
    [
        ("offsite", ["0002", "0328", "0330", "0788"], ["0555"]),
        ("all15", ["0002", "0328", "0330"], ["0555", "0788"]),
        ("none", ["0002", "0328", "0330", "0555", "0788"], []),
    ],
)
def test_pddca_and_its_splits(pddca, phantom, raw, choice, training, test):
    done = import_set(load_set("pddca", [f"test={choice}"]), pddca, 501)
    assert done.folder == raw / f"Dataset501_PDDCA_{choice}" and not done.refused
    for split, numbers in (("Tr", training), ("Ts", test)):
        assert names(done.folder / f"labels{split}") == [f"0522c{n}.nii.gz" for n in numbers]
        assert names(done.folder / f"images{split}") == [f"0522c{n}_0000.nii.gz" for n in numbers]
    data = read_json(done.folder / "dataset.json")
    assert data["numTraining"] == len(training)
    miccai = load_profile("miccai2015")
    assert [miccai.resolve(name).name for name in data["labels"] if name != "background"] == [
        o.name for o in miccai.organs
    ]
    assert list(data["labels"].values()) == list(range(10))
    masks = written(done, "0522c0328")
    for name, organs in zip(done.labels, PDDCA.values(), strict=True):
        np.testing.assert_array_equal(masks[name], organ(phantom, *organs))
    np.testing.assert_array_equal(read(done.folder / "imagesTr/0522c0002_0000.nii.gz"), phantom.ct_hu)
    image, labels = (
        sitk.ReadImage(str(done.folder / f)) for f in ("imagesTr/0522c0002_0000.nii.gz", "labelsTr/0522c0002.nii.gz")
    )
    assert image.GetOrigin() == labels.GetOrigin() and image.GetSpacing() == labels.GetSpacing() == SPACING_MM
    listed = read_unannotated(done.folder / "cases.json", miccai, [f"0522c{n}" for n in training])
    assert listed["0522c0002"] == ["Glnd_Submand_L", "Glnd_Submand_R"] and listed["0522c0330"] == ["Bone_Mandible"]
    assert ("0522c0788" in listed) == ("0788" in training)


def test_stratify_takes_an_import_with_its_list(pddca, raw):
    done = import_set(load_set("pddca", ["test=all15"]), pddca, 501)
    result = stratify(501, load_profile("miccai2015"), num_folds=2, unannotated=done.folder / "cases.json")
    assert result.unknown == result.absent == [] and result.assumed == result.unused == {}
    assert result.undrawn == {"0522c0002": ["Glnd_Submand_L", "Glnd_Submand_R"], "0522c0330": ["Bone_Mandible"]}


def test_numbers_and_files_that_differ_are_told(pddca, phantom):
    case = pddca / "PDDCA-1.4.1_part1/0522c0002"
    write(case / "structures" / "Tumor.nrrd", organ(phantom, "Larynx"), phantom)
    (case / "plan.bin").write_bytes(b"?")
    (case / ".DS_Store").write_bytes(b"?")
    (case / "structures" / "._BrainStem.nrrd").write_bytes(b"?")
    done = import_set(load_set("pddca"), pddca, 501)
    assert found(done, "foreign") == [("PDDCA-1.4.1_part1/0522c0002/plan.bin", None)]
    assert found(done, "unknown") == [("Tumor", "0522c0002")]
    assert found(done, "numbering") == [
        ("test_offsite: 10 cases are published, 1 are there", None),
        ("test_onsite: 5 cases are published, 1 are there", None),
        ("train: 25 cases are published, 2 are there", None),
        ("train_optional: 8 cases are published, 1 are there", None),
    ]
    assert found(done, "missing") == [
        ("Bone_Mandible", "0522c0330"),
        ("Glnd_Submand_L", "0522c0002"),
        ("Glnd_Submand_R", "0522c0002"),
        ("OpticChiasm", "0522c0788"),
    ]
    report = read_json(done.folder / "import_report.json")
    assert {finding["kind"] for finding in report["findings"]} == {"foreign", "unknown", "numbering", "missing"}
    text = (done.folder / "import_report.txt").read_text()
    assert "Tumor: 1 case(s) (0522c0002)" in text and "plan.bin" in text


@pytest.mark.parametrize("how", ["names", "header", "lone"])
def test_swapped_sides_are_caught_and_the_case_left_out(pddca, phantom, how):
    part = pddca / "PDDCA-1.4.1_part1"
    if how == "lone":  # the right gland in the file of the left one, the other one missing
        write_pddca(part, phantom, "0522c0003", ("Submandibular_L", "Submandibular_R"))
        mask = organ(phantom, "Glnd_Submand_R")
        write(part / "0522c0003/structures/Submandibular_L.nrrd", mask, phantom)
    else:
        write_pddca(part, phantom, "0522c0003", swap=how == "names", flip=how == "header")
    done = import_set(load_set("pddca"), pddca, 501)
    assert list(done.refused) == ["0522c0003"] and "to the patient's right of" in done.refused["0522c0003"]
    assert "0522c0003.nii.gz" not in names(done.folder / "labelsTr") and len(done.cases) == 5
    assert "0522c0003" not in read_json(done.folder / "cases.json")
    both = write_pddca  # names and header both flipped are right again
    both(part, phantom, "0522c0003", swap=True, flip=True)
    assert not import_set(load_set("pddca"), pddca, 501).refused


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


def cube(phantom, z, y, x, size=3):
    mask = np.zeros(SHAPE, bool)
    mask[z : z + size, y : y + size, x : x + size] = True
    return mask


def deepmind_masks(phantom):
    masks = {name: organ(phantom, *organs) for name, organs in DEEPMIND.items()}
    for side in "LR":
        eye = np.argwhere(masks[f"Orbit-{side}t"])
        masks[f"Lens-{side}t"] = np.zeros(SHAPE, bool)
        masks[f"Lens-{side}t"][tuple(eye[eye[:, 1].argmin()])] = True
        masks[f"Lung-{side}t"] = cube(phantom, 0, 20, 28 if side == "L" else 8)
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


@pytest.fixture
def deepmind(tmp_path, phantom):
    folder = tmp_path / "tcia"
    grown = {
        "oncologist": lambda m: m,
        "radiographer": lambda m: {**m, "Parotid-Lt": m["Parotid-Lt"] & (np.arange(40) % 2 == 0)},
    }
    for observer, change in grown.items():
        write_deepmind(folder, phantom, "validation", observer, "0522c0727a", change=change)
        write_deepmind(folder, phantom, "test", observer, "TCGA-CV-A6JO", separator="_", change=change)
    return folder


@pytest.mark.parametrize("observer", ["oncologist", "radiographer"])
def test_deepmind_both_observers_and_both_spellings(deepmind, phantom, observer):
    # any folder above or below the published one will do
    done = import_set(load_set("deepmind", [f"observer={observer}"]), deepmind / "nrrds", 502)
    assert done.folder.name == f"Dataset502_DeepMindTCIA_{observer}" and not done.refused
    assert names(done.folder / "labelsTr") == ["0522c0727a.nii.gz"]
    assert names(done.folder / "labelsTs") == ["TCGA-CV-A6JO.nii.gz"]
    assert set(done.labels) == {organs[0] for organs in DEEPMIND.values()} - {"Bone_Mandible_L"} | {
        "Bone_Mandible",
        "Lung_L",
        "Lung_R",
    }
    training, test = written(done, "0522c0727a"), written(done, "TCGA-CV-A6JO", "Ts")
    expected = deepmind_masks(phantom)
    half = np.arange(40) % 2 == 0 if observer == "radiographer" else True
    for masks in (training, test):
        np.testing.assert_array_equal(masks["Parotid_L"], expected["Parotid-Lt"] & half)
        np.testing.assert_array_equal(masks["Eye_R"], expected["Orbit-Rt"])  # with its lens
        np.testing.assert_array_equal(masks["SpinalCord"], expected["Spinal-Cord"])
    assert found(done, "unknown") == found(done, "foreign") == found(done, "missing") == []


def test_all_published_structures_are_painted_by_precedence(deepmind, phantom):
    done = import_set(load_set("deepmind"), deepmind, 502, structures=["all"])
    masks, expected = written(done, "0522c0727a"), deepmind_masks(phantom)
    assert len(done.labels) == 21
    np.testing.assert_array_equal(masks["Lens_L"], expected["Lens-Lt"])
    np.testing.assert_array_equal(masks["Eye_L"], expected["Orbit-Lt"] & ~expected["Lens-Lt"])
    np.testing.assert_array_equal(masks["SpinalCanal"], expected["Spinal-Canal"] & ~expected["Spinal-Cord"])
    np.testing.assert_array_equal(masks["Brainstem"], expected["Brainstem"])
    assert not (masks["Brain"] & expected["Brainstem"]).any() and masks["Brain"].any()
    lens = int(expected["Lens-Lt"].sum())
    overlaps = {(f.text, f.case): f.voxels for f in done.findings if f.kind == "overlap"}
    assert overlaps["Lens_L over Eye_L", "0522c0727a"] == lens
    assert overlaps["Brainstem over Brain", "TCGA-CV-A6JO"] == expected["Brainstem"].sum()


def test_cases_without_a_ct_are_refused_or_give_labels_alone(deepmind, phantom):
    write_deepmind(deepmind, phantom, "validation", "oncologist", "0522c0014", ct=False)
    done = import_set(load_set("deepmind"), deepmind, 502)
    assert list(done.refused) == ["0522c0014"] and "--without-ct" in done.refused["0522c0014"]
    done = import_set(load_set("deepmind"), deepmind, 502, without_ct=True)
    assert not done.refused and names(done.folder / "labelsTr") == ["0522c0014.nii.gz", "0522c0727a.nii.gz"]
    assert names(done.folder / "imagesTr") == ["0522c0727a_0000.nii.gz"]
    assert read_json(done.folder / "dataset.json")["numTraining"] == 1
    assert list(read_json(done.folder / "cases.json")) == ["0522c0727a"]
    assert list(read_json(done.folder / "cases_labels_only.json")) == ["0522c0014"]
    assert found(done, "no_ct") == [("no CT", "0522c0014")]
    ours, theirs = (
        sitk.ReadImage(str(p))
        for p in (
            done.folder / "labelsTr/0522c0014.nii.gz",
            deepmind / "nrrds/validation/oncologist/0522c0014/segmentations/Brain.nrrd",
        )
    )
    for what in ("Size", "Spacing", "Origin", "Direction"):
        np.testing.assert_allclose(getattr(ours, f"Get{what}")(), getattr(theirs, f"Get{what}")(), atol=1e-5)


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
            masks[row.published[0]] = cube(phantom, 2, column, x, 2)
    assert len(masks) == 30
    return masks


def test_hanseg_unites_the_segments_of_the_eyes(tmp_path, phantom):
    masks = hanseg_masks(phantom)
    for number, leave_out in ((1, ()), (2, ("Eye_PL", "Glottis")), (4, ())):
        place = tmp_path / "HaN-Seg" / "set_1" / f"case_{number:02d}"
        write(place / f"case_{number:02d}_IMG_CT.nrrd", phantom.ct_hu, phantom)
        write(place / f"case_{number:02d}_IMG_MR_T1.nrrd", phantom.ct_hu, phantom)
        for name, mask in masks.items():
            if name not in leave_out:
                write(place / f"case_{number:02d}_OAR_{name}.seg.nrrd", mask, phantom)
    (tmp_path / "HaN-Seg" / "set_1" / "OAR_data.csv").write_text("x\n")
    done = import_set(load_set("hanseg"), tmp_path / "HaN-Seg", 503)
    assert not done.refused and len(done.labels) == 28 and set(done.cases) == {"case_01", "case_02", "case_04"}
    parts = written(done, "case_01")
    for side in "LR":
        others = parts[f"OpticNrv_{side}"] | parts[f"Glnd_Lacrimal_{side}"]
        np.testing.assert_array_equal(parts[f"Eye_{side}"] | others, organ(phantom, f"Eye_{side}") | others)
    assert read_json(done.folder / "cases.json")["case_02"]["unannotated"] == ["Glottis", "Eye_L"]
    assert found(done, "incomplete") == [("Eye_L not written, as Eye_PL is missing", "case_02")]
    assert found(done, "numbering") == [("public: 39 of 42 cases are not there: 3, 5-42", None)]
    assert found(done, "foreign") == found(done, "unknown") == []


def segrap_cubes(phantom):
    """Label map with a cube for each of the 54 labels; the lower label of a pair lies on the left."""
    midline = {1, 2, 3, 34, 35, *range(46, 55)}
    labels = np.zeros(SHAPE, np.uint8)
    for value in range(1, 55):
        z, y = 3 * (value // 13), 3 * (value % 13)
        x = 18 if value in midline else 26 if value % 2 == 0 else 10
        labels[z : z + 2, y : y + 2, x : x + 2] = value
    return labels


SEGRAP_UNIONS = {
    "Brain": range(1, 10),
    "Lobe_Temporal_L": (4, 6),
    "Hippocampus_R": (9, 7),
    "Eye_L": (10, 12),
    "Ear_Middle_L": (16, 18, 20, 24, 28, 30),
    "TympanicCavity_R": (21, 23),
    "VestibulSemi_L": (24, 26),
    "ETbone_R": (31, 33),
    "Larynx": range(48, 52),
    "Musc_Constrict": (51, 52),
    "Trachea": (54,),
}


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


def test_segrap_structures_are_unions_of_labels(tmp_path, phantom):
    labels = segrap_cubes(phantom)
    write_segrap(tmp_path / "S", phantom, "segrap_0000", True, labels)
    write_segrap(tmp_path / "S", phantom, "segrap_0002", False, labels)
    for name, values in SEGRAP_UNIONS.items():
        done = import_set(load_set("segrap2023"), tmp_path / "S", 504, structures=[name])
        for case in ("segrap_0000", "segrap_0002"):
            np.testing.assert_array_equal(written(done, case)[name], np.isin(labels, list(values)), err_msg=name)
        assert found(done, "foreign") == found(done, "unknown") == []
    done = import_set(load_set("segrap2023", ["image=image_contrast"]), tmp_path / "S", 505)
    np.testing.assert_array_equal(read(done.folder / "imagesTr/segrap_0000_0000.nii.gz"), phantom.ct_hu + 7)
    np.testing.assert_array_equal(*(read(done.folder / f"labelsTr/segrap_000{i}.nii.gz") for i in (0, 2)))
    masks = written(done, "segrap_0000")
    np.testing.assert_array_equal(masks["Ear_Internal_L"], np.isin(labels, [24, 26]))  # the cochlea has its own
    np.testing.assert_array_equal(masks["Cochlea_L"], labels == 28)
    np.testing.assert_array_equal(masks["Hippocampus_L"], np.isin(labels, [8, 6]))
    np.testing.assert_array_equal(masks["Lobe_Temporal_L"], labels == 4)  # equal precedence: the later label
    assert not {"Brain", "Lens_L", "Ear_Middle_L", "Bone_Mandible"} & set(done.labels)
    chosen = import_set(load_set("segrap2023"), tmp_path / "S", 506, profile="miccai2015")
    assert list(chosen.labels) == [
        "Brainstem",
        "OpticChiasm",
        "OpticNrv_L",
        "OpticNrv_R",
        "Bone_Mandible",
        "Glnd_Submand_L",
        "Glnd_Submand_R",
        "Parotid_L",
        "Parotid_R",
    ]
    np.testing.assert_array_equal(written(chosen, "segrap_0002")["Bone_Mandible"], np.isin(labels, [36, 37]))


def test_structseg_eyes_have_their_lenses_and_odd_label_maps_are_told(tmp_path, phantom):
    values = {row.name: row.labels[0] for row in load_set("structseg2019").structures if row.labels}
    labels = np.zeros(SHAPE, np.uint8)
    for name, value in values.items():
        if known := HN42.resolve(name):
            labels[organ(phantom, known.name)] = value
    for eye, lens in ((2, 4), (3, 5)):
        where = np.argwhere(labels == eye)
        labels[tuple(where[where[:, 1].argmin()])] = lens
    root = tmp_path / "HaN_OAR"
    for number, ending, extra in ((1, "nii.gz", None), (2, "nii", "value"), (3, "nii.gz", "grid")):
        array = labels.copy()
        if extra == "value":
            array[0, 0, 0] = 23
            array[array == values["Pituitary"]] = 0
        write(root / str(number) / f"data.{ending}", phantom.ct_hu, phantom)
        path = write(root / str(number) / f"label.{ending}", array, phantom)
        if extra == "grid":
            image = sitk.ReadImage(str(path))
            image.SetSpacing((5.5, 6.0, 6.0))
            sitk.WriteImage(image, str(path))
    done = import_set(load_set("structseg2019"), tmp_path, 507)
    assert list(done.refused) == ["structseg_003"] and "resample" in done.refused["structseg_003"]
    masks = written(done, "structseg_001")
    np.testing.assert_array_equal(masks["Eye_L"], np.isin(labels, [2, 4]))
    np.testing.assert_array_equal(masks["Bone_Mandible_R"], labels == 22)
    assert found(done, "label_value") == [("values 23 in the label map mean nothing in this set", "structseg_002")]
    assert read_json(done.folder / "cases.json")["structseg_002"]["unannotated"][0] == "Pituitary"
    assert found(done, "numbering") == [("training: 47 of 50 cases are not there: 4-50", None)]


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


def test_openkbp_axes_spacing_and_hu(tmp_path, phantom):
    write_openkbp(tmp_path / "provided-data", phantom, 7, ("Larynx",))
    write_openkbp(tmp_path / "provided-data", phantom, 300)
    done = import_set(load_set("openkbp"), tmp_path / "provided-data", 508)
    assert not done.refused and names(done.folder / "imagesTs") == ["openkbp_300_0000.nii.gz"]
    ct = sitk.ReadImage(str(done.folder / "imagesTr/openkbp_007_0000.nii.gz"))
    assert ct.GetSpacing() == (4.0, 3.5, 2.5) and ct.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    array = sitk.GetArrayFromImage(ct)
    expected = np.full((128, 128, 128), -1024)
    expected[:48, :40, :40] = np.where(phantom.ct_hu > -1000, phantom.ct_hu, -1024)
    np.testing.assert_array_equal(array, expected)
    masks = written(done, "openkbp_300", "Ts")
    np.testing.assert_array_equal(masks["Parotid_L"][:48, :40, :40], organ(phantom, "Parotid_L"))
    center = {name: np.argwhere(mask).mean(0) for name, mask in masks.items()}
    assert center["Brainstem"][0] > center["Larynx"][0] > 0  # feet to head
    assert center["Bone_Mandible"][1] < center["SpinalCord"][1]  # front to back
    assert center["Parotid_L"][2] > center["Bone_Mandible"][2] > center["Parotid_R"][2]
    assert read_json(done.folder / "cases.json")["openkbp_007"] == {"group": "training", "unannotated": ["Larynx"]}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("voxel_dimensions.csv", "3.5\n4.0\n", "three voxel dimensions"),
        ("ct.csv", ",data\n2097152,5\n", "whole indices from 0 to 2097151"),
        ("ct.csv", ",data\n12,5\n12,6\n", "every voxel once"),
        ("ct.csv", ",data\n12;5\n", "lines of index,value"),
        ("Larynx.csv", ",data\n-4,\n", "whole indices"),
        ("Larynx.csv", ",data\n", None),
    ],
)
def test_damaged_sparse_files(tmp_path, phantom, file, text, said):
    place = write_openkbp(tmp_path / "provided-data", phantom, 7)
    write_openkbp(tmp_path / "provided-data", phantom, 8)
    (place / file).write_text(text)
    done = import_set(load_set("openkbp"), tmp_path / "provided-data", 508)
    if said is None:
        assert found(done, "empty") == [("Larynx", "openkbp_007")]
    elif file == "Larynx.csv":
        ((text, case),) = found(done, "unusable")
        assert case == "openkbp_007" and said in text
        assert read_json(done.folder / "cases.json")["openkbp_007"]["unannotated"] == ["Larynx"]
    else:
        assert list(done.refused) == ["openkbp_007"] and said in done.refused["openkbp_007"]


def write_masks(folder, phantom, case, organs=("Brainstem", "Parotid_L", "Parotid_R"), prefix="mask_"):
    write(folder / case / "image.nii.gz", phantom.ct_hu, phantom)
    for name in organs:
        write(folder / case / f"{prefix}{name}.nii.gz", organ(phantom, name), phantom)


def test_masks_of_ones_own_take_organs_and_spellings_from_the_profile(tmp_path, phantom):
    write_masks(tmp_path / "clinic", phantom, "p1")
    write_masks(tmp_path / "clinic", phantom, "p2", ("Brainstem", "Parotid_L"), prefix="")
    write(tmp_path / "clinic/p2/LeftEye.nii.gz", organ(phantom, "Eye_L"), phantom)
    write(tmp_path / "clinic/p2/GTV.nii.gz", organ(phantom, "Larynx"), phantom)
    done = import_set(load_set("masks"), tmp_path / "clinic", 509, name="Clinic")
    assert done.folder.name == "Dataset509_Clinic"
    assert done.labels == {"Brainstem": 1, "Eye_L": 2, "Parotid_L": 3, "Parotid_R": 4}
    np.testing.assert_array_equal(written(done, "p2")["Eye_L"], organ(phantom, "Eye_L"))
    assert found(done, "unknown") == [("GTV", "p2")] and len(found(done, "absent_everywhere")) == 38
    assert read_json(done.folder / "cases.json") == {
        "p1": {"group": None, "unannotated": ["Eye_L"]},
        "p2": {"group": None, "unannotated": ["Parotid_R"]},
    }


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("empty", "empty", "Parotid_L"),
        ("probabilities", "unusable", "0 and one other value"),
        ("damaged", "unusable", "damaged or truncated"),
        ("twice", "unusable", "expected one file of Parotid_L"),
        ("spacing", "unusable", "resample it onto the CT"),
        ("half a voxel off", "unusable", "resample it onto the CT"),
    ],
)
def test_contours_that_cannot_be_used_count_as_not_drawn(tmp_path, phantom, what, kind, said):
    folder = tmp_path / "clinic"
    for case in ("p1", "p2"):
        write_masks(folder, phantom, case)
    path = folder / "p1/mask_Parotid_L.nii.gz"
    image = sitk.ReadImage(str(path))
    if what == "empty":
        image = image * 0
    elif what == "probabilities":
        image = sitk.Cast(image, sitk.sitkFloat32) * 0.9
        image[5, 5, 5] = 0.3
    elif what == "spacing":
        image.SetSpacing((6.0, 6.0, 5.0))
    elif what == "half a voxel off":
        image.SetOrigin((image.GetOrigin()[0] + 3.0, *image.GetOrigin()[1:]))
    sitk.WriteImage(image, str(path), True)
    if what == "damaged":
        path.write_bytes(path.read_bytes()[:200])
    if what == "twice":
        shutil.copyfile(path, folder / "p1/mask_parotid-l.nii.gz")
    done = import_set(load_set("masks"), folder, 509)
    ((text, case),) = found(done, kind)
    assert case == "p1" and said in text and not written(done, "p1")["Parotid_L"].any()
    assert written(done, "p1")["Parotid_R"].any() and written(done, "p2")["Parotid_L"].any()
    # an empty file may say that the organ is absent: soars-stratify's option decides
    assert read_json(done.folder / "cases.json")["p1"]["unannotated"] == ([] if what == "empty" else ["Parotid_L"])


@pytest.mark.parametrize("what", ["cropped", "turned", "larger"])
def test_masks_on_other_extents_of_the_same_grid_are_put_in_their_place(tmp_path, phantom, what):
    write_masks(tmp_path / "clinic", phantom, "p1")
    path = tmp_path / "clinic/p1/mask_Parotid_L.nii.gz"
    image = sitk.ReadImage(str(path))
    if what == "cropped":
        low, high = np.argwhere(organ(phantom, "Parotid_L")).min(0), np.argwhere(organ(phantom, "Parotid_L")).max(0) + 1
        image = image[tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))]
    elif what == "turned":
        image = sitk.Flip(sitk.PermuteAxes(image, (1, 2, 0)), (True, False, True))
    else:
        image = sitk.ConstantPad(image, (2, 0, 3), (1, 4, 0), 1)
    sitk.WriteImage(image, str(path), True)
    done = import_set(load_set("masks"), tmp_path / "clinic", 509)
    np.testing.assert_array_equal(written(done, "p1")["Parotid_L"], organ(phantom, "Parotid_L"))
    ((text, _),) = found(done, "other_grid")
    assert ("voxels lie outside the CT" in text) == (what == "larger")


def test_a_case_in_two_places_and_a_ct_that_is_none_are_left_out(tmp_path, phantom):
    for case in ("p1", "p2", "p3"):
        write_masks(tmp_path / "clinic", phantom, case)
    shutil.copytree(tmp_path / "clinic/p1", tmp_path / "clinic/copy/p1")
    write(tmp_path / "clinic/p2/image.nii.gz", phantom.labels, phantom)
    write_masks(tmp_path / "clinic", phantom, "p4", organs=())
    done = import_set(load_set("masks"), tmp_path / "clinic", 509)
    assert set(done.cases) == {"p3"} and set(done.refused) == {"p1", "p2", "p4"}
    assert "expected one CT" in done.refused["p1"] and "label map" in done.refused["p2"]
    assert "no contour" in done.refused["p4"]


def test_a_structure_that_others_cover_is_told(tmp_path, phantom):
    write_masks(tmp_path / "clinic", phantom, "p1")
    write(tmp_path / "clinic/p1/mask_Epiglottis.nii.gz", organ(phantom, "Brainstem"), phantom)
    done = import_set(load_set("masks"), tmp_path / "clinic", 509)
    assert found(done, "covered") == [("Epiglottis", "p1")]
    assert done.cases["p1"]["voxels"]["Epiglottis"] == 0


def test_a_rerun_keeps_what_is_verified_and_redoes_what_changed(tmp_path, phantom):
    folder = tmp_path / "clinic"
    for case in ("p1", "p2", "p3"):
        write_masks(folder, phantom, case)
    table = load_set("masks")
    done = import_set(table, folder, 509)
    label = done.folder / "labelsTr/p1.nii.gz"
    first = label.stat().st_mtime_ns
    (done.folder / "labelsTr/p3.nii.gz").write_bytes(b"damaged")
    write(folder / "p2/mask_Parotid_L.nii.gz", organ(phantom, "Glnd_Submand_L"), phantom)
    lines = []
    import_set(table, folder, 509, progress=lines.append)
    assert ["finished already" in line for line in lines] == [True, False, False]
    assert label.stat().st_mtime_ns == first
    np.testing.assert_array_equal(written(done, "p2")["Parotid_L"], organ(phantom, "Glnd_Submand_L"))
    assert written(done, "p3")["Brainstem"].any()
    # other organs change the labels of all
    lines.clear()
    chosen = import_set(table, folder, 509, structures=["Parotid_L", "Parotid_R"], progress=lines.append)
    assert chosen.labels == {"Parotid_L": 1, "Parotid_R": 2}
    assert not any("finished already" in line for line in lines)


def test_an_interrupted_import_leaves_no_dataset_and_is_taken_up(tmp_path, phantom, raw):
    folder = tmp_path / "clinic"
    for case in ("p1", "p2"):
        write_masks(folder, phantom, case)

    def interrupt(line):
        if line.startswith("[1/2]"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_set(load_set("masks"), folder, 509, progress=interrupt)
    assert not list(raw.glob("Dataset*"))
    shutil.rmtree(folder / "p1")
    write_masks(folder, phantom, "p0")
    lines = []
    done = import_set(load_set("masks"), folder, 509, progress=lines.append)
    assert names(done.folder / "labelsTr") == ["p0.nii.gz", "p2.nii.gz"]  # nothing of the former p1
    assert names(raw) == [done.folder.name]
    shutil.rmtree(done.folder)
    with pytest.raises(KeyboardInterrupt):
        import_set(load_set("masks"), folder, 509, progress=interrupt)
    lines.clear()
    import_set(load_set("masks"), folder, 509, progress=lines.append)
    assert ["finished already" in line for line in lines] == [True, False]


def test_other_datasets_are_never_overwritten(tmp_path, phantom, raw):
    write_masks(tmp_path / "clinic", phantom, "p1")
    table, source = load_set("masks"), tmp_path / "clinic"
    (raw / "Dataset509_Other").mkdir(parents=True)
    with pytest.raises(InputError, match="id 509 is taken by Dataset509_Other"):
        import_set(table, source, 509)
    (raw / "Dataset510_Masks").mkdir()
    (raw / "Dataset510_Masks/dataset.json").write_text("{}")
    with pytest.raises(InputError, match="got another dataset"):
        import_set(table, source, 510)
    assert names(raw / "Dataset510_Masks") == ["dataset.json"]
    done = import_set(table, source, 511)
    (done.folder / "my_notes.txt").write_text("mine")
    with pytest.raises(InputError, match="my_notes.txt"):
        import_set(table, source, 511)
    assert (done.folder / "my_notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-d", "0"], "between 1 and 999"),
        (["-d", "5", "--choose", "observer=me"], "observer=oncologist|radiographer"),
        (["-d", "5", "--structures", "Brain", "Toe"], "has no Toe"),
        (["-d", "5", "--name", "a b"], "--name"),
        (["-d", "5", "-p", "nothing"], "no profile 'nothing'"),
        (["-d", "5"], "expected the layout of deepmind"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, capfd, arguments, said):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.txt").write_text("?")
    assert cli.import_(["deepmind", str(tmp_path / "src"), *arguments]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]


def test_the_command_reports_and_fails_where_cases_are_left_out(pddca, phantom, capfd, raw):
    assert cli.import_(["pddca", str(pddca), "-d", "501", "--choose", "test=all15"]) == 0
    out = capfd.readouterr().out
    assert "3 training, 2 test case(s), 9 structures" in out and "[1/5] 0522c0002: 7 structures" in out
    assert f"soars-stratify -d 501 -p PROFILE --unannotated {raw}/Dataset501_PDDCA_all15/cases.json" in out
    write_pddca(pddca, phantom, "0522c0004", swap=True)
    assert cli.import_(["pddca", str(pddca), "-d", "501", "--choose", "test=all15"]) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("error: 1 case(s) left out: 0522c0004") and len(captured.err.splitlines()) == 1
    assert "cases left out:" in captured.out
    assert json.loads((raw / "Dataset501_PDDCA_all15/import_report.json").read_text())["refused"].keys() == {
        "0522c0004"
    }


def test_nothing_is_written_without_a_usable_case(pddca, raw):
    for path in Path(pddca).rglob("img.nrrd"):
        path.unlink()
    with pytest.raises(InputError, match="none of 5 case"):
        import_set(load_set("pddca"), pddca, 501)
    assert names(raw) == []
