"""Organs that a scan cannot hold."""

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.table import known_anatomy
from soars_nnunet.prediction.coverage import organs_outside

NAMES = ("Brainstem", "Parotid_L", "Parotid_R", "Larynx", "Esophagus", "Eye_L", "GTV")
TABLE = known_anatomy(NAMES)


def scan(low_mm, high_mm, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)):
    image = sitk.Image(20, 20, round((high_mm - low_mm) / 5), sitk.sitkInt16)
    image.SetSpacing((10.0, 10.0, 5.0))
    image.SetDirection(direction)
    image.SetOrigin((-100.0, -100.0, low_mm if direction[-1] > 0 else high_mm))
    return image


def found(*names, whole=True):
    measures = {}
    for name in names:
        facts = TABLE.organs[name]
        measures[name] = OrganMeasure((0.0, facts.back.mm, facts.up.mm + 500), 10.0, whole)
    return measures


UPSIDE_DOWN = (1, 0, 0, 0, -1, 0, 0, 0, -1)


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), UPSIDE_DOWN])
@pytest.mark.parametrize(
    ("seen", "low_mm", "high_mm", "expected"),
    [
        pytest.param(("Brainstem", "Parotid_L"), 300, 600, set(), id="the whole head and neck"),
        pytest.param(("Brainstem", "Parotid_L"), 440, 600, {"Larynx", "Esophagus"}, id="ends at the jaw"),
        pytest.param(("Larynx", "Parotid_L"), 300, 480, {"Eye_L"}, id="begins at the brain stem"),
        pytest.param(("Parotid_L",), 440, 480, set(), id="too little was found"),
        pytest.param((), 0, 100, set(), id="nothing was found"),
    ],
)
def test_organs_above_and_below_the_scan(seen, low_mm, high_mm, expected, direction):
    missing = [name for name in NAMES if name not in seen]
    assert organs_outside(missing, found(*seen), TABLE, scan(low_mm, high_mm, direction)) == expected


def test_organs_that_are_cut_say_nothing():
    assert organs_outside(["Larynx"], found("Brainstem", "Parotid_L", whole=False), TABLE, scan(440, 600)) == set()


def test_a_median_passes_over_one_stray_organ():
    seen = found("Brainstem", "Parotid_L", "Parotid_R")
    seen["Parotid_R"] = OrganMeasure((0.0, 0.0, np.float64(100.0)), 1.0, True)
    assert organs_outside(["Larynx"], seen, TABLE, scan(300, 600)) == set()
