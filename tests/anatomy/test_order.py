"""Organs that lie against anatomy: whole maps that are turned, single organs, and what must be left in peace."""

import numpy as np
import pytest

from soars_nnunet.anatomy.learn import learn_anatomy
from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.order import AXES, check_order, find_reversals, find_turned, require_order
from soars_nnunet.anatomy.table import known_anatomy
from soars_nnunet.errors import InputError

PLACES_MM = {  # x to the left, y to the back, z up, from the centre of the scan
    "Brainstem": (0.0, 20.0, 60.0),
    "SpinalCord": (0.0, 40.0, -60.0),
    "Bone_Mandible": (0.0, -55.0, 8.0),
    "Parotid_L": (60.0, -5.0, 20.0),
    "Parotid_R": (-60.0, -5.0, 20.0),
    "Larynx": (0.0, -17.0, -58.0),
}
UNKNOWN = {name: f"structure {index}" for index, name in enumerate(PLACES_MM)}


def case_of(names=tuple(PLACES_MM), turned=(1, 1, 1), noise_mm=0.0, seed=0):
    rng = np.random.default_rng(seed)
    measures = {}
    for name in names:
        center = np.array(PLACES_MM[name]) * turned + rng.normal(0, noise_mm, 3)
        measures[name] = OrganMeasure(tuple(center), 10.0, True)
    return measures


def axes_of(findings):
    return [finding.axis.turned for finding in findings]


UP, BACK = "upside down", "back to front"


@pytest.mark.parametrize(
    ("turned", "expected"),
    [
        pytest.param((1, 1, 1), [], id="upright"),
        pytest.param((1, 1, -1), [UP], id="upside down"),
        pytest.param((1, -1, 1), [BACK], id="front to back"),
        pytest.param((1, -1, -1), [UP, BACK], id="turned about left-right"),
        pytest.param((-1, 1, 1), [], id="mirrored, which other checks see"),
    ],
)
def test_turned_maps_are_seen(turned, expected):
    measures = case_of(turned=turned)
    findings = find_reversals(measures, known_anatomy(measures))
    assert axes_of(findings) == expected
    assert all(finding.is_turned for finding in findings)


@pytest.mark.parametrize(
    ("names", "turned", "seen"),
    [
        pytest.param(("Brainstem", "SpinalCord"), (1, 1, -1), True, id="two far apart"),
        pytest.param(("Bone_Mandible", "SpinalCord"), (1, -1, 1), True, id="two far apart, front and back"),
        pytest.param(("Brainstem",), (1, 1, -1), False, id="one organ"),
        pytest.param(("Parotid_L", "Parotid_R"), (1, 1, -1), False, id="at one height"),
        pytest.param(("Parotid_L", "Bone_Mandible"), (1, 1, -1), False, id="too near to say"),
        pytest.param((), (1, 1, -1), False, id="none"),
    ],
)
def test_few_organs_say_something_only_if_they_are_far_apart(names, turned, seen):
    measures = case_of(names, turned)
    assert bool(check_order(measures, learn_anatomy([]))) == seen


def test_a_single_wrong_organ_is_named_and_the_map_is_not_called_turned():
    measures = case_of()
    measures["Brainstem"] = OrganMeasure((0.0, 20.0, -90.0), 20.0, True)
    (finding,) = find_reversals(measures, known_anatomy(measures))
    assert "mixed up" in require_order(measures, case="c")[0], "doubtful, but not refused"
    assert {reversal.first for reversal in finding.reversals} == {"Brainstem"} and not finding.is_turned
    assert str(finding).startswith("Brainstem lies 110 mm below Parotid_L, not above it")


def test_structures_of_any_name_are_compared_with_the_other_cases():
    cases = []
    for seed in range(6):
        measures = case_of(noise_mm=4.0, seed=seed, turned=(1, 1, -1) if seed == 3 else (1, 1, 1))
        cases.append({UNKNOWN[name]: measure for name, measure in measures.items()})
    learnt = learn_anatomy(cases)
    assert [axes_of(check_order(case, learnt)) for case in cases] == [[], [], [], [UP], [], []]
    assert all(find_turned(case, learn_anatomy(cases[2:4])) == [] for case in cases), "of two nobody knows which"


def test_a_lattice_of_blocks_in_any_order_is_not_called_upside_down():
    """Test data of other programs: organs in the order of their labels, head first."""
    measures = {}
    for index, name in enumerate(("Brainstem", "Eye_L", "Lens_L", "Parotid_L", "Larynx", "SpinalCord", "Esophagus")):
        measures[name] = OrganMeasure((0.0, 0.0, 18.0 * (index % 3)), 1.0, True)
    assert not any(finding.is_turned for finding in find_reversals(measures, known_anatomy(measures)))


def test_tumours_lie_anywhere():
    rng = np.random.default_rng(1)
    cases = []
    for _ in range(12):
        case = {}
        for name in ("GTV", "CTV", "Node_1", "Node_2"):
            case[name] = OrganMeasure(tuple(rng.uniform(-100, 100, 3)), 10.0, True)
        cases.append(case)
    learnt = learn_anatomy(cases)
    assert [check_order(case, learnt) for case in cases] == [[]] * 12


def test_the_axes_are_those_of_lps():
    assert [(axis.index, axis.turned) for axis in AXES] == [(2, UP), (1, BACK)]


@pytest.mark.parametrize(
    ("turned", "said"),
    [
        ((1, 1, -1), "c: Brainstem lies 120 mm below SpinalCord, not above it ("),
        ((1, -1, 1), "are back to front: mend them"),
        ((1, -1, -1), "are upside down and back to front: mend them"),
    ],
)
def test_cases_are_refused_in_one_line_that_names_organs(turned, said):
    assert require_order(case_of(), case="c") == []
    with pytest.raises(InputError) as caught:
        require_order(case_of(turned=turned), case="c")
    assert said in str(caught.value) and "\n" not in str(caught.value)
