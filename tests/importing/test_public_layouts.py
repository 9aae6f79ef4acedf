"""Each published layout, filled with tiny phantoms."""

import numpy as np
import pytest
import SimpleITK as sitk
from published_layouts import (
    DEEPMIND,
    HN42,
    PDDCA,
    SHAPE,
    SPACING_MM,
    deepmind_masks,
    found,
    hanseg_masks,
    names,
    organ,
    read,
    segrap_cubes,
    write,
    write_deepmind,
    write_masks,
    write_openkbp,
    write_segrap,
    written,
)

from soars_nnunet.cascade.not_annotated import read_not_annotated
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.importing.dataset import ImportOptions, import_set
from soars_nnunet.importing.public_sets import load_set
from soars_nnunet.profile import load_profile

pytestmark = pytest.mark.usefixtures("nnunet_folders")


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


@pytest.mark.parametrize(
    ("choice", "training", "test"),
    [
        ("offsite", ["0002", "0328", "0330", "0788"], ["0555"]),
        ("all15", ["0002", "0328", "0330"], ["0555", "0788"]),
        ("none", ["0002", "0328", "0330", "0555", "0788"], []),
    ],
)
def test_pddca_and_its_splits(pddca, phantom, nnunet_folders, choice, training, test):
    done = import_set(load_set("pddca", [f"test={choice}"]), pddca, 501)
    assert done.folder == nnunet_folders / f"Dataset501_PDDCA_{choice}" and not done.refused
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
    listed = read_not_annotated(done.folder / "cases.json", miccai, [f"0522c{n}" for n in training])
    assert listed["0522c0002"] == ["Glnd_Submand_L", "Glnd_Submand_R"] and listed["0522c0330"] == ["Bone_Mandible"]
    assert ("0522c0788" in listed) == ("0788" in training)


@pytest.mark.parametrize("observer", ["oncologist", "radiographer"])
def test_deepmind_both_observers_and_both_spellings(deepmind, phantom, observer):
    # any folder above or below the published one will do
    done = import_set(load_set("deepmind", [f"observer={observer}"]), deepmind / "nrrds", 502)
    assert done.folder.name == f"Dataset502_DeepMindTCIA_{observer}" and not done.refused
    assert names(done.folder / "labelsTr") == ["0522c0727a.nii.gz"]
    assert names(done.folder / "labelsTs") == ["TCGA-CV-A6JO.nii.gz"]
    assert set(done.labels) == {organs[0] for organs in DEEPMIND.values()} - {"Bone_Mandible_L"} | {
        "Bone_Mandible",
        "Brain",
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


def test_cases_without_a_ct_are_refused_or_give_labels_alone(deepmind, phantom):
    write_deepmind(deepmind, phantom, "validation", "oncologist", "0522c0014", ct=False)
    done = import_set(load_set("deepmind"), deepmind, 502)
    assert list(done.refused) == ["0522c0014"] and "--without-ct" in done.refused["0522c0014"]
    done = import_set(load_set("deepmind"), deepmind, 502, ImportOptions(without_ct=True))
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


def test_segrap_structures_are_unions_of_labels(tmp_path, phantom):
    labels = segrap_cubes()
    write_segrap(tmp_path / "S", phantom, "segrap_0000", True, labels)
    write_segrap(tmp_path / "S", phantom, "segrap_0002", False, labels)
    for name, values in SEGRAP_UNIONS.items():
        done = import_set(load_set("segrap2023"), tmp_path / "S", 504, ImportOptions(structures=[name]))
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
    chosen = import_set(load_set("segrap2023"), tmp_path / "S", 506, ImportOptions(profile="miccai2015"))
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


def test_masks_of_ones_own_take_organs_and_spellings_from_the_profile(tmp_path, phantom):
    write_masks(tmp_path / "clinic", phantom, "p1")
    write_masks(tmp_path / "clinic", phantom, "p2", ("Brainstem", "Parotid_L"), prefix="")
    write(tmp_path / "clinic/p2/LeftEye.nii.gz", organ(phantom, "Eye_L"), phantom)
    write(tmp_path / "clinic/p2/GTV.nii.gz", organ(phantom, "Larynx"), phantom)
    done = import_set(load_set("masks"), tmp_path / "clinic", 509, ImportOptions(name="Clinic"))
    assert done.folder.name == "Dataset509_Clinic"
    assert done.labels == {"Brainstem": 1, "Eye_L": 2, "Parotid_L": 3, "Parotid_R": 4}
    np.testing.assert_array_equal(written(done, "p2")["Eye_L"], organ(phantom, "Eye_L"))
    assert found(done, "unknown") == [("GTV", "p2")] and len(found(done, "absent_everywhere")) == 38
    assert read_json(done.folder / "cases.json") == {
        "p1": {"group": None, "unannotated": ["Eye_L"]},
        "p2": {"group": None, "unannotated": ["Parotid_R"]},
    }
