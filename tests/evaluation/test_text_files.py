import json
from dataclasses import dataclass

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.text_files import csv_text, json_text, write_texts


@dataclass(frozen=True)
class Row:
    name: str
    value: float | None


def test_csv_has_a_column_a_field_and_empty_cells():
    assert csv_text(Row, [Row("a,b", 0.5), Row("c", None)]) == 'name,value\n"a,b",0.5\nc,\n'
    assert csv_text(Row, []) == "name,value\n"


def test_json_keeps_letters_and_refuses_nan():
    assert json.loads(json_text({"é": [1]})) == {"é": [1]} and "é" in json_text("é")
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_texts_are_written_whole_into_new_folders(tmp_path):
    output = tmp_path / "new" / "folder"
    paths = write_texts(output, "x", {"csv": "a\r\n", "md": "±\n"})
    assert paths == [output / "x.csv", output / "x.md"] and sorted(output.iterdir()) == paths
    assert paths[0].read_bytes() == b"a\r\n" and paths[1].read_text(encoding="utf-8") == "±\n"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder to write to, got .*file"):
        write_texts(tmp_path / "file", "x", {"md": ""})
