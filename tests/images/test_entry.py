"""Entries that are no ordinary file, and names that no report can carry."""

import os
import socket

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.images.entry import name_fault, require_file, shown

FOREIGN = os.fsdecode(b"caf\xe9")
NAMES = {
    FOREIGN: "caf\\xe9",
    "a\nerror: b": "a\\nerror: b",
    "a\x1b[2Jb": "a\\x1b[2Jb",
    "a\x00b": "a\\x00b",
    "a\u2028b": "a\\u2028b",
    "a\u202eb": "a\\u202eb",
    "a\ud800b": "a\\ud800b",
}
GOOD = ("case", "Jos\u00e9", "\u60a3\u8005 1", "\u0633\u200c\u06a9", "a b", "a\u3000b", "=1+2", "_0000")


@pytest.mark.parametrize(("name", "said"), NAMES.items(), ids=range(len(NAMES)))
def test_names_that_would_move_the_cursor_or_are_not_utf8_are_told(name, said):
    assert said in name_fault(name) and "rename" in name_fault(name)
    assert shown(name) == said
    shown(name).encode("utf-8")


@pytest.mark.parametrize("name", GOOD)
def test_names_in_any_script_are_good(name):
    assert name_fault(name) is None and shown(name) == name


def test_the_size_of_an_ordinary_file_is_told_also_through_a_link(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert require_file(tmp_path / "a") == require_file(tmp_path / "b") == 3


ODD = {
    "absent": "found nothing",
    "a folder": "found a folder",
    "a pipe": "found a named pipe",
    "a socket": "found a socket",
    "/dev/zero": "found a device",
    "a link to a pipe": "found a named pipe",
    "a link to nothing": "found a broken link",
    "a link to itself": "got an error",
    "too long": "got an error",
    "not UTF-8": "expected a path in UTF-8",
    "below a folder that is not UTF-8": "expected a path in UTF-8",
}


@pytest.mark.parametrize(("kind", "said"), ODD.items(), ids=ODD)
def test_what_is_no_file_is_refused_without_opening_it(tmp_path, monkeypatch, kind, said):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path = tmp_path / "entry"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("entry")
    elif kind == "/dev/zero":
        path.symlink_to("/dev/zero")
    elif kind == "a link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    elif kind == "a link to nothing":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "a link to itself":
        path.symlink_to(path)
    elif kind == "too long":
        path = tmp_path / ("a" * 300)
    elif kind == "not UTF-8":
        path = tmp_path / FOREIGN
        path.write_bytes(b"1")
    elif kind == "below a folder that is not UTF-8":
        (tmp_path / FOREIGN).mkdir()
        path = tmp_path / FOREIGN / "a"
        path.write_bytes(b"1")
    with pytest.raises(InputError) as caught:
        require_file(path, "a CT file")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    str(caught.value).encode("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(tmp_path):
    path = tmp_path / "entry"
    path.write_bytes(b"1")
    path.chmod(0)
    with pytest.raises(InputError, match="got no permission"):
        require_file(path)
