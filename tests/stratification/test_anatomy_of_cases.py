"""Learning of anatomy from label maps, and the cases that lie otherwise than the others."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.profile import Organ, Profile
from soars_nnunet.stratification.anatomy_of_cases import learn_from_labels, turned_cases, wholly_drawn, with_anatomy

LABELS = {"Brainstem": 1, "Larynx": 2}
PROFILE = Profile("two", tuple(Organ(name, label, name, "anchor") for name, label in LABELS.items()))


@pytest.fixture
def cascade(tmp_path, monkeypatch):
    """Three cases; in the second nobody drew the whole larynx."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    folder = tmp_path / "Dataset007_Two"
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
    for index, thick in enumerate((2, 3, 4)):
        labels = np.zeros((30, 8, 8), np.uint8)
        labels[20 : 20 + thick, 2:4, 2:4] = 1
        labels[5:7, 2:4, 2:4] = 2
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((5.0, 5.0, 5.0))
        sitk.WriteImage(image, str(folder / "labelsTr" / f"case_{index}.nii.gz"))
        sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(folder / "imagesTr" / f"case_{index}_0000.nii.gz"))
    data = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **LABELS},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(data))
    cases = ("case_0", "case_1", "case_2")
    return Cascade("Dataset007_Two", PROFILE, {}, LABELS, cases=cases, not_annotated={"case_1": ["Larynx"]})


def test_volumes_and_places_are_learnt_from_the_maps_of_the_training_cases(cascade):
    facts = learn_from_labels(cascade)
    assert {name: organ.cases for name, organ in facts.organs.items()} == {"Brainstem": 3, "Larynx": 2}
    expected_ml = np.percentile([1.0, 1.5, 2.0], (1, 5, 50, 95, 99))  # 2 x 2 x 2, 3 and 4 voxels of 125 cubic mm
    assert facts.organs["Brainstem"].volume_ml == pytest.approx(expected_ml, abs=1e-3)
    apart_mm = facts.organs["Brainstem"].up.mm - facts.organs["Larynx"].up.mm
    assert apart_mm == pytest.approx(15.5 * 5, abs=3)


def test_a_missing_map_is_named(cascade, tmp_path):
    for kind, end in (("labelsTr", ""), ("imagesTr", "_0000")):
        (tmp_path / "Dataset007_Two" / kind / f"case_2{end}.nii.gz").unlink()
    with pytest.raises(InputError, match="case_2"):
        learn_from_labels(cascade)


def test_a_cascade_of_an_earlier_version_learns_or_stays_as_it_is(cascade, tmp_path):
    known = with_anatomy(cascade)
    assert known.anatomy == learn_from_labels(cascade)
    (tmp_path / "Dataset007_Two" / "labelsTr" / "case_2.nii.gz").write_text("damaged")
    assert with_anatomy(known) is known
    told = []
    assert with_anatomy(cascade, told.append) is cascade
    assert "not recorded" in told[-1]


def case_of(turned=1.0):
    places_mm = {"a": 60.0, "b": 0.0, "c": -60.0, "d": -120.0}
    return {name: OrganMeasure((0.0, 0.0, turned * mm), 1.0, True) for name, mm in places_mm.items()}


def test_cases_that_lie_otherwise_than_the_others_are_named():
    cases = {f"case_{index}": case_of() for index in range(4)}
    assert turned_cases(cases) == {}
    cases["case_2"] = case_of(-1)
    turned = turned_cases(cases)
    assert list(turned) == ["case_2"] and "upside down" in turned["case_2"]
    assert turned_cases({}) == {}


def test_contours_listed_as_not_annotated_do_not_count():
    assert list(wholly_drawn(case_of(), ["b"])) == ["a", "c", "d"]
