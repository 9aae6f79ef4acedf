"""Wholes and halves by name."""

import pytest

from soars_nnunet.naming.halves import form_of, halves_problem, made_of

HALVES = {"Bone_Mandible": ("Bone_Mandible_L", "Bone_Mandible_R"), "Nose": ("Nose_li", "Nose_re")}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Bone_Mandible", "Bone_Mandible"),
        ("Mandible", "Bone_Mandible"),
        ("Unterkiefer", "Bone_Mandible"),
        ("LT MANDIBLE", "Bone_Mandible_L"),
        ("Nose right", "Nose_re"),
        ("Mandible_PTV", None),
        ("Mandibles+3", None),
        ("Parotid_L", None),
    ],
)
def test_form_of_a_name(name, form):
    assert form_of(name, HALVES) == form


def test_what_a_form_is_made_of():
    assert made_of("Bone_Mandible", HALVES) == ("Bone_Mandible_L", "Bone_Mandible_R")
    assert made_of("Nose_re", HALVES) == ("Nose",)
    assert made_of("Larynx", HALVES) == ()


@pytest.mark.parametrize(
    ("halves", "partners", "message"),
    [
        ({"J": ("J_L", "J_R")}, {"J": None}, None),
        ({"J": ("J_L", "J_R")}, {"J_L": "J_R", "J_R": "J_L"}, None),
        ({"J": ("J_L",)}, {"J": None}, "left and a right half, got J_L"),
        ({"J": ("J_L", "J_L")}, {"J": None}, "left and a right half"),
        ({"J": ("J_L", "J_R")}, {}, "either J or both halves"),
        ({"J": ("J_L", "J_R")}, {"J_L": None}, "either J or both halves"),
        ({"J": ("J_L", "J_R")}, {"J": None, "J_L": "J_R", "J_R": "J_L"}, "either J or both halves"),
        ({"J": ("J_L", "J_R")}, {"J": None, "J_L": None}, "either J or both halves"),
        ({"J": ("J_L", "J_R")}, {"J_L": None, "J_R": None}, "expected mirror partners"),
    ],
)
def test_contradictions(halves, partners, message):
    problem = halves_problem(halves, partners)
    assert problem is None if message is None else message in problem
