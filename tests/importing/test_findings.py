import pytest

from soars_nnunet.importing.findings import Finding, format_findings, format_numbers


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([4], "4"), ([3, 1, 2, 7], "1-3, 7"), ([1, 3, 4, 9, 10], "1, 3-4, 9-10")]
)
def test_format_numbers(numbers, text):
    assert format_numbers(numbers) == text


def test_the_same_thing_in_many_cases_is_one_line():
    found = [Finding("overlap", "A over B", f"p{i}", 10 * i) for i in range(9)]
    found += [Finding("foreign", "x.bin"), Finding("missing", "A", "p1")]
    assert format_findings(found) == [
        "files that the set does not know (not read):",
        "  x.bin",
        "not drawn:",
        "  A: 1 case(s) (p1)",
        "voxels of two structures, and which one keeps them:",
        "  A over B: 9 case(s), up to 80 voxels (p0, p1, p2, p3, p4, p5 and 3 more)",
    ]
    assert format_findings([]) == []
    assert found[-1].to_dict() == {"kind": "missing", "text": "A", "case": "p1"}


def test_a_long_list_is_cut():
    lines = format_findings(Finding("foreign", f"{i}.bin") for i in range(50))
    assert len(lines) == 22 and lines[-2:] == ["  19.bin", "  and 30 more"]
