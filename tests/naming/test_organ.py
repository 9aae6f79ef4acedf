import pytest

from soars_nnunet.naming.organ import Organ


@pytest.mark.parametrize(
    ("name", "mirror", "side"),
    [
        ("Parotid_L", "Parotid_R", "L"),
        ("Parotid_R", "Parotid_L", "R"),
        ("Brainstem", None, None),
        ("Fistula_L", None, None),
    ],
)
def test_side_by_the_suffix_of_a_pair(name, mirror, side):
    assert Organ(name, 1, "in tables", "anchor", mirror).side == side


def test_spellings_are_all_listed_names():
    assert Organ("Pineal", 1, "Pineal Gland", "anchor", aliases=("a", "b")).spellings == (
        "Pineal",
        "Pineal Gland",
        "a",
        "b",
    )
