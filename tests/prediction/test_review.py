"""What users are told of predictions that do not look like a head and neck."""

from dataclasses import replace

import pytest

from soars_nnunet.anatomy.facts import AnatomyFacts, OrganFacts, Position
from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.table import known_anatomy
from soars_nnunet.prediction.report import OrganRow
from soars_nnunet.prediction.review import review, with_volume_flags

NAMES = ("Brainstem", "SpinalCord", "Bone_Mandible", "Parotid_L", "Parotid_R", "Larynx")
NOTHING = AnatomyFacts()


def rows_of(missing=(), status="not_found"):
    rows = {}
    for label, name in enumerate(NAMES, 1):
        rows[name] = OrganRow(label, "anchor", 20.0, "found", 0.9)
        if name in missing:
            rows[name] = OrganRow(label, "anchor", 0.0, status, None)
    return rows


def measures_of(names=NAMES, turned=(1, 1)):
    measures = {}
    for name, organ in known_anatomy(names).organs.items():
        measures[name] = OrganMeasure((0.0, turned[0] * organ.back.mm, turned[1] * organ.up.mm), 20.0, True)
    return measures


@pytest.mark.parametrize(
    ("rows", "measures", "said"),
    [
        pytest.param(rows_of(NAMES), {}, ["none of 6 organ(s) was found"], id="nothing of a head and neck"),
        pytest.param(
            rows_of(NAMES[:4]), measures_of(NAMES[4:]), ["4 of 6 anchor organs were not found"], id="most missing"
        ),
        pytest.param(rows_of(), measures_of(turned=(1, -1)), ["upside down against the header"], id="upside down"),
        pytest.param(rows_of(), measures_of(turned=(-1, 1)), ["back to front against the header"], id="face down"),
        pytest.param(rows_of(), measures_of(turned=(-1, -1)), ["turned round against"] * 2, id="turned round"),
    ],
)
def test_users_are_told_what_is_wrong(rows, measures, said):
    warnings = review(rows, measures, NOTHING)
    assert len(warnings) == len(said)
    for warning, text in zip(warnings, said, strict=True):
        assert text in warning


@pytest.mark.parametrize(
    ("rows", "measures"),
    [
        pytest.param(rows_of(), measures_of(), id="everything there"),
        pytest.param(rows_of(NAMES[:2]), measures_of(NAMES[2:]), id="few missing"),
        pytest.param(rows_of(NAMES[:4], "absent"), measures_of(NAMES[4:]), id="the scan shows the larynx only"),
        pytest.param({}, {}, id="no organ asked for"),
    ],
)
def test_nothing_is_said_of_what_is_right(rows, measures):
    assert review(rows, measures, NOTHING) == []


def test_a_stray_organ_is_named():
    measures = measures_of()
    measures["Brainstem"] = OrganMeasure((0.0, 0.0, -250.0), 20.0, True)
    (warning,) = review(rows_of(), measures, NOTHING)
    assert "Brainstem lies" in warning and "mixed up" in warning


LEARNT = AnatomyFacts({"Parotid_L": OrganFacts(9, Position(0.0), Position(0.0), (14.0, 15.0, 25.0, 40.0, 45.0))})


@pytest.mark.parametrize(
    ("volume_ml", "status", "flag"),
    [
        (0.18, "found", "far_below_training"),
        (0.18, "low_confidence", "far_below_training"),
        (0.18, "cut_by_field_of_view", None),
        (25.0, "found", None),
        (85.0, "found", "far_above_training"),
        (0.0, "not_found", None),
    ],
)
def test_volumes_far_outside_those_of_training_are_flagged_and_told(volume_ml, status, flag):
    row = OrganRow(4, "anchor", volume_ml, status, 0.9)
    rows = with_volume_flags({"Larynx": replace(row, volume_ml=20.0, status="found"), "Parotid_L": row}, LEARNT)
    assert rows["Larynx"].training_ml is None and rows["Larynx"].volume_flag is None
    assert (rows["Parotid_L"].training_ml, rows["Parotid_L"].volume_flag) == ([15.0, 40.0], flag)
    warnings = review(rows, {}, NOTHING)
    assert len(warnings) == (flag is not None)
    if flag:
        assert f"Parotid_L {volume_ml:.3g} ml (training 15 to 40)" in warnings[0]
