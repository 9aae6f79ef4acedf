"""The table of labels and organs."""

from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.label_match import match_labels
from soars_nnunet.stratification.label_table import format_label_table, label_rows

HN42 = load_profile("hn42")
LABELS = {
    "background": 0,
    "Brainstem": 1,
    "LT PAROTID": 2,
    "Mandible": 3,
    "PTV70": 4,
    "Cerebelum": 5,
    "Chiasma": 6,
    "Chiasma opticum": 7,
    "Thyroid": 8,
    "Thyroid_L": 9,
}


def test_every_label_has_a_row_that_says_what_becomes_of_it():
    rows = {row.name: row for row in label_rows(LABELS, match_labels(LABELS, HN42), HN42)}
    assert list(rows) == list(LABELS)[1:]
    assert [name for name, row in rows.items() if row.is_plain] == ["Brainstem"]
    assert [name for name, row in rows.items() if row.is_left_out] == ["Chiasma", "Chiasma opticum", "Thyroid"]
    assert (rows["LT PAROTID"].organs, rows["LT PAROTID"].tier) == (("Parotid_L",), "mid_level")
    assert rows["Mandible"].organs == ("Bone_Mandible_L", "Bone_Mandible_R")
    assert rows["Mandible"].remark == "divided at the midline"
    assert rows["PTV70"].remark == "not used: no organ of hn42"
    assert rows["Cerebelum"].remark == "not used: no organ of hn42; did you mean Cerebellum?"
    assert "--alias" in rows["Chiasma"].remark
    assert rows["Thyroid"].remark.startswith("not used: the dataset has Glnd_Thyroid_L and Glnd_Thyroid_R itself, or")


def test_lines_are_aligned():
    lines = format_label_table(label_rows(LABELS, match_labels(LABELS, HN42), HN42))
    assert lines[0].split("  ")[0] == "label" and len(lines) == len(LABELS)
    start = lines[0].index("organ")
    assert lines[2][start:].startswith("Parotid_L  ") and lines[4][start:].startswith("-  ")
    assert format_label_table([])[0].startswith("label")
