"""What file names alone tell of a set."""

from pathlib import Path

import pytest

from soars_nnunet.importing.case_files import CaseFiles
from soars_nnunet.importing.checks import check_numbers, drawn_somewhere, unknown_structures
from soars_nnunet.importing.public_sets import Structure, load_set

HERE = [Path("mask.nrrd")]


def case(number, group, *structures, labels=()):
    return CaseFiles(f"case_{number}", number, group, labels=list(labels), masks=dict.fromkeys(structures, HERE))


def test_gaps_counts_and_outsiders_are_told():
    table = load_set("openkbp")
    (train, validation, test) = table.groups
    assert (train.first, train.last, train.count) == (1, 200, 200)
    cases = [case(number, train.name) for number in range(1, 201) if number not in (7, 8, 9, 50)]
    cases += [case(number, validation.name) for number in range(validation.first, validation.last + 1)]
    cases += [case(number, test.name) for number in range(test.first, test.last + 1)]
    cases.append(case(900, None))
    found = [(finding.text, finding.case) for finding in check_numbers(table, cases)]
    assert found == [
        (f"{train.name}: 4 of 200 cases are not there: 7-9, 50", None),
        ("outside the published groups", "case_900"),
    ]


def test_a_count_is_told_where_numbers_have_gaps_by_themselves():
    table = load_set("pddca")
    texts = [finding.text for finding in check_numbers(table, [case(2, "train")] * 25)]
    assert texts == [
        "train_optional: 8 cases are published, 0 are there",
        "test_offsite: 10 cases are published, 0 are there",
        "test_onsite: 5 cases are published, 0 are there",
    ]


def test_a_set_without_groups_has_no_outsiders():
    assert check_numbers(load_set("masks"), [case(None, None)]) == []


def test_structures_are_known_by_any_spelling():
    table = load_set("pddca")
    cases = [case(2, "train", "brain-stem", "Tumor"), case(3, "train", "GTV", "Chiasm")]
    found = [(finding.text, finding.case) for finding in unknown_structures(table, [], cases)]
    assert found == [("Tumor", "case_2"), ("GTV", "case_3")]
    own = [Structure("Tumor", ("Tumor",), aliases=("GTV",))]
    assert unknown_structures(table, own, cases) == []


ONE = Structure("Parotid_L", ("Parotid_L",), aliases=("Left parotid",))
UNION = Structure("Eye_L", ("Front", "Back"))


@pytest.mark.parametrize(
    ("files", "drawn"),
    [
        ([[], []], []),
        ([["left_parotid"], []], ["Parotid_L"]),
        ([["front"], []], []),
        ([["Front"], ["back"]], ["Eye_L"]),
        ([["Front", "Parotid_L"], ["Back"]], ["Parotid_L", "Eye_L"]),
    ],
)
def test_a_union_needs_files_of_all_its_parts(files, drawn):
    cases = [case(number, None, *structures) for number, structures in enumerate(files)]
    found, absent = drawn_somewhere([ONE, UNION], cases)
    assert [row.name for row in found] == drawn
    assert [row.name for row in absent] == [row.name for row in (ONE, UNION) if row.name not in drawn]


def test_where_there_are_label_maps_any_structure_may_be_drawn():
    found, absent = drawn_somewhere([ONE, UNION], [case(1, None, labels=HERE)])
    assert found == [ONE, UNION] and absent == []
