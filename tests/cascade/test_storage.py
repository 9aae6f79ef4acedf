"""Files and folders are whole or not there, whatever happens while they are written."""

import ast
import json
import os
from pathlib import Path

import pytest

import soars_nnunet
from soars_nnunet.cascade.storage import (
    NO_FLUSH,
    file_hash,
    json_hash,
    new_staging,
    provenance,
    publish,
    read_json,
    read_user_json,
    remove_leftovers,
    replacing,
    write_json,
    write_text,
)
from soars_nnunet.errors import InputError, MissingArtifactError


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the system, in order: flushes by inode, renames."""
    made = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (made.append(("flush", os.fstat(file).st_ino)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda old, new: (made.append(("rename", str(new))), rename(old, new)))
    return made


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_the_name_is(tmp_path, calls):
    path = tmp_path / "a.json"
    with replacing(path) as temporary:
        temporary.write_text("{}")
        inode = temporary.stat().st_ino
    assert calls == [("flush", inode), ("rename", str(path)), ("flush", tmp_path.stat().st_ino)]


def test_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, calls):
    folder = tmp_path / "made"
    with new_staging(folder) as staging:
        (staging / "deep").mkdir()
        written = [staging / "a", staging / "deep" / "b"]
        for path in written:
            path.write_text("x")
        inodes = {path.stat().st_ino for path in (staging, staging / "deep", *written)}
        publish(staging, folder)
    assert {inode for _, inode in calls[:-1]} == inodes
    assert calls[-1] == ("flush", tmp_path.stat().st_ino)


def test_a_writer_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.json"]


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, [1])

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, [2])
    assert read_json(path) == [1] and os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", NO_FLUSH)
def test_a_file_system_without_flush_is_written_all_the_same(tmp_path, monkeypatch, number):
    def refused(file):
        raise OSError(number, "no flush here")

    monkeypatch.setattr(os, "fsync", refused)
    write_json(tmp_path / "a.json", [1])
    assert read_json(tmp_path / "a.json") == [1]


def test_texts_keep_their_letters_and_line_ends(tmp_path):
    write_text(tmp_path / "a.csv", "ä ± 1\nb\r\n")
    assert (tmp_path / "a.csv").read_bytes() == "ä ± 1\nb\r\n".encode()


def test_provenance_names_versions():
    versions = provenance()
    assert set(versions) == {"soars_nnunet", "nnunetv2", "torch", "SimpleITK"}
    assert all(text[0].isdigit() for text in versions.values())


def test_replacing_writes_beside_and_renames(tmp_path):
    target = tmp_path / "deep" / "case.nii.gz"
    with replacing(target) as temporary:
        assert temporary.parent == target.parent and temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["case.nii.gz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_replacing_keeps_the_old_file_and_nothing_else_on_failure(tmp_path, error):
    target = tmp_path / "plans.json"
    target.write_text("old")
    with pytest.raises(error), replacing(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["plans.json"]


def test_write_json_keeps_the_old_file_if_the_data_is_not_json(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, 2]})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": [1, 2]}
    assert os.listdir(tmp_path) == ["a.json"]


def test_staging_is_emptied_and_published_over_an_old_folder(tmp_path):
    folder = tmp_path / "Dataset001_A"
    for text in ("first", "second"):
        with new_staging(folder) as staging:
            assert os.listdir(staging) == []
            (staging / text).write_text(text)
            publish(staging, folder)
    assert os.listdir(tmp_path) == ["Dataset001_A"]
    assert os.listdir(folder) == ["second"]


def test_staging_goes_away_on_failure_and_the_old_folder_stays(tmp_path):
    folder = tmp_path / "Dataset001_A"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(RuntimeError), new_staging(folder) as staging:
        (staging / "half").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == ["Dataset001_A"]
    assert os.listdir(folder) == ["old"]


def test_what_a_killed_run_left_beside_a_folder_is_removed_once_the_folder_is_there(tmp_path):
    folder, partial, old = tmp_path / "made", tmp_path / ".made.partial", tmp_path / ".made.old"
    for path in (partial, old):
        path.mkdir()
        (path / "a").touch()
    remove_leftovers(folder)
    assert os.listdir(tmp_path) == [".made.old"], "it is all that is left of the folder"
    folder.mkdir()
    remove_leftovers(folder)
    assert os.listdir(tmp_path) == ["made"]


def test_json_hash_sees_values_but_not_key_order():
    first = {"a": {"x": 1, "y": [1, 2]}, "b": None}
    second = json.loads('{"b": null, "a": {"y": [1, 2], "x": 1}}')
    assert json_hash(first) == json_hash(second)
    assert len({json_hash(data) for data in (first, {"a": {"x": 1, "y": [2, 1]}, "b": None}, {}, [], None)}) == 5


def test_file_hash_is_sha256(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


REMEDIES = {
    "soars_cascade.json": "run soars-stratify",
    "soars_options_wide.json": "delete it, and run soars-plan",
    "splits_final.json": "restore it, or run soars-stratify and soars-plan",
    "SOARSPlans.json": "run soars-plan",
    "plans.json": "restore it, or train again",
    "anything.json": "run the command that writes it",
}


@pytest.mark.parametrize("name", REMEDIES)
def test_read_json_names_the_file_the_fault_and_the_command_that_writes_it(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(MissingArtifactError, match=f"{name}, found none; .*{REMEDIES[name]}"):
        read_json(path)
    path.write_text('{"a": 1,\n"b" 2}')
    with pytest.raises(MissingArtifactError, match=f"{name} is not valid JSON: line 2, column 5.*{REMEDIES[name]}"):
        read_json(path)
    with pytest.raises(MissingArtifactError, match="; predict again$"):
        read_json(path, "predict again")


@pytest.mark.parametrize(
    ("content", "fault"), [(b"{", "line 1, column 2"), (b"", "empty"), (b'{"a": NaN}', "finite"), (b"\xff", "UTF-8")]
)
def test_a_users_file_is_to_be_corrected_not_deleted(tmp_path, content, fault):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^profile \S*mine\.json is not valid JSON: .*{fault}.*; correct the file$"):
        read_user_json(path, "profile")
    with pytest.raises(InputError, match="found none; check the path"):
        read_user_json(tmp_path / "absent.json")
    with pytest.raises(InputError, match="found none; check the path"):
        read_user_json(path / "absent.json")


@pytest.mark.parametrize("read", [read_json, read_user_json])
def test_a_mark_at_the_start_is_accepted_and_a_folder_refused(tmp_path, read):
    path = tmp_path / "mine.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read(path) == {"a": 1}
    with pytest.raises(ValueError, match="expected a file, found a folder"):
        read(tmp_path)


def calls_of(path):
    """Names of the functions and methods that a module calls."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            names.add(node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
    return names


def test_no_other_module_writes_files_without_it():
    """Whoever writes a file does it inside of ``replacing``, or into a folder that is published as a whole."""
    writers = {"write_image", "savefig", "write_text", "write_bytes", "save", "copyfile", "copytree"}
    ours = {"replacing", "write_text", "write_json", "new_staging", "publish"}
    ours |= {"write_image"}
    root = Path(soars_nnunet.__file__).parent
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        calls = calls_of(path)
        if name in ("cascade/storage.py", "images/nifti_affines.py"):  # the latter completes a temporary file
            continue
        assert "WriteImage" not in calls or name == "cascade/image_file.py", f"{name}: written without being read back"
        assert not calls & {"fsync", "mkstemp", "NamedTemporaryFile"}, name
        assert "os.replace(" not in path.read_text(encoding="utf-8"), name
        to_disk = calls & writers - {"save"} if "torch.save" not in path.read_text(encoding="utf-8") else {"save"}
        assert not to_disk or calls & ours, f"{name}: {to_disk}"
