"""Learning positions and volumes from many cases, against cases made from known positions."""

import numpy as np
import pytest

from soars_nnunet.anatomy.learn import learn_anatomy
from soars_nnunet.anatomy.measures import OrganMeasure

PLACES = {"a": (0.0, 0.0, 0.0), "b": (0.0, 60.0, -120.0), "c": (0.0, -40.0, 35.0)}


def made_cases(count, *, noise_mm=2.0, seed=0):
    rng = np.random.default_rng(seed)
    cases = []
    for index in range(count):
        shift = rng.uniform(-500, 500, 3)
        case = {}
        for name, place in PLACES.items():
            if index % 4 == 3 and name == "c":
                continue  # not drawn
            center = place + shift + rng.normal(0, noise_mm, 3)
            case[name] = OrganMeasure(tuple(center), 10.0 + index, is_whole=index != 0)
        cases.append(case)
    return cases


@pytest.mark.parametrize("turned", [0, 4])
def test_positions_do_not_depend_on_origins_or_on_a_minority_that_is_turned(turned):
    cases = made_cases(20)
    for case in cases[:turned]:
        for name, measure in case.items():
            x, y, z = measure.center_mm
            case[name] = OrganMeasure((x, y, -z), measure.volume_ml, measure.is_whole)
    facts = learn_anatomy(cases)
    for axis, index in (("up", 2), ("back", 1)):
        found = {name: getattr(organ, axis) for name, organ in facts.organs.items()}
        for name, place in PLACES.items():
            expected = place[index] - PLACES["a"][index]
            assert found[name].mm - found["a"].mm == pytest.approx(expected, abs=5)
            assert found[name].spread_mm < 8
    assert {name: organ.cases for name, organ in facts.organs.items()} == {"a": 20, "b": 20, "c": 15}


def test_volumes_are_percentiles_of_whole_contours():
    facts = learn_anatomy(made_cases(12))
    expected = np.percentile(np.arange(11.0, 22.0), (1, 5, 50, 95, 99))
    assert facts.organs["a"].volume_ml == pytest.approx(expected, abs=1e-3), "the first case is cut"
    cut = [{"a": OrganMeasure((0.0, 0.0, 0.0), 3.0, is_whole=False)}]
    assert learn_anatomy(cut).organs["a"].volume_ml == ()


@pytest.mark.parametrize("cases", [[], [{}], [{}, {}]])
def test_nothing_is_learnt_from_nothing(cases):
    assert learn_anatomy(cases).organs == {}


def test_a_case_without_organs_does_not_matter():
    cases = made_cases(6)
    assert learn_anatomy([*cases, {}]) == learn_anatomy(cases)
