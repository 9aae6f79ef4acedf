"""Numbers of the paper, and the code that goes by them."""

import subprocess
import sys

import pytest

from soars_nnunet.geometry.voi import VOI_FACTOR
from soars_nnunet.guidance.brightest import NUM_BRIGHTEST
from soars_nnunet.paper import paper_values, stated
from soars_nnunet.planning.plans_json import HU_WINDOW
from soars_nnunet.stratification.stratify import NUM_FOLDS


def test_the_papers_numbers_are_those_that_are_used():
    used = {"hu_window": HU_WINDOW, "voi_factor": VOI_FACTOR, "brightest_voxels": NUM_BRIGHTEST, "folds": NUM_FOLDS}
    assert used == {"hu_window": (-500.0, 1000.0), "voi_factor": 3.0, "brightest_voxels": 1000, "folds": 4}
    assert {name: stated(name) for name in used} == used


def test_a_number_says_where_it_stands():
    for name, number in paper_values().items():
        assert number.section and number.meaning and isinstance(number.value, int | float | tuple), name
    with pytest.raises(ValueError, match="expected one of hu_window, .*, got 'hu'"):
        stated("hu")


def test_numbers_are_read_without_torch():
    code = "import sys, soars_nnunet.paper as p; p.stated('folds'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
