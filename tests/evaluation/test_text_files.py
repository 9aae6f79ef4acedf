import json
from dataclasses import dataclass

import pytest

from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation import text_files
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


DOCUMENT = {"provenance": {"package": "soars_nnunet"}, "scores": []}


def write(folder, text="a"):
    return write_texts(folder, "x", {"csv": text, "md": text + text}, DOCUMENT)


def test_a_document_comes_second_and_knows_the_other_files(tmp_path):
    assert [path.name for path in write(tmp_path)] == ["x.csv", "x.json", "x.md"]
    files = json.loads((tmp_path / "x.json").read_text())["files"]
    assert files == {name: [file_hash(tmp_path / name)] for name in ("x.csv", "x.md")}
    write(tmp_path, "b")
    assert (tmp_path / "x.csv").read_text() == "b"


def test_an_interruption_at_any_file_leaves_them_ours(tmp_path, monkeypatch):
    write(tmp_path)
    real = text_files._write
    for last in ("x.json", "x.csv", "x.md"):

        def killed(path, content, last=last):
            real(path, content)
            if path.name == last:
                raise KeyboardInterrupt

        monkeypatch.setattr(text_files, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, last)
        monkeypatch.setattr(text_files, "_write", real)
        write(tmp_path, f"after {last}")
        assert (tmp_path / "x.csv").read_text() == f"after {last}"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param({"x.csv": "of the clinic"}, "x.csv: .*of another origin", id="csv alone"),
        pytest.param({"x.md": "notes"}, "x.md: .*of another origin", id="md alone"),
        pytest.param({"x.json": "{}"}, "x.json: .*got another", id="json of another form"),
        pytest.param({"x.json": '{"provenance": {"package": "other"}}'}, "x.json: .*got another", id="json of others"),
        pytest.param({"x.json": "notes"}, "x.json: .*got another", id="no json"),
    ],
)
def test_files_of_another_origin_are_not_overwritten(tmp_path, found, said):
    for name, text in found.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said + ".*; move it or name another -o"):
        write(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == found


def test_edited_tables_are_not_overwritten_and_those_of_earlier_versions_are(tmp_path):
    write(tmp_path)
    (tmp_path / "x.csv").write_text("edited")
    with pytest.raises(InputError, match=r"x\.csv: .*one that was changed since"):
        write(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps(DOCUMENT))
    write(tmp_path, "new")
    assert (tmp_path / "x.csv").read_text() == "new"
