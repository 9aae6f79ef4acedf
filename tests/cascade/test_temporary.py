import os
import subprocess
import sys
from pathlib import Path

import pytest

from soars_nnunet.cascade.storage import replacing, write_json
from soars_nnunet.cascade.temporary import OWNED, host, is_abandoned, owner, remove_abandoned, temporary_beside

KILLED = """
import os, signal, sys
from pathlib import Path
from soars_nnunet.cascade.storage import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "name", ["a.nii.gz", "dataset.json", "case", "a.b.nrrd", "x" * 247 + ".nii.gz", "ä" * 120 + ".mha"]
)
def test_a_temporary_name_has_the_endings_and_fits(tmp_path, name):
    path = temporary_beside(tmp_path / name)
    assert path.name.startswith(".") and path.name.endswith(name.partition(".")[2]) and OWNED.match(path.name)
    path.touch()
    assert not is_abandoned(path.name), "this process still writes it"


def test_what_a_killed_run_left_goes_with_the_next_write(tmp_path):
    target = tmp_path / "a.nii.gz"
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], timeout=60)
    (left,) = os.listdir(tmp_path)
    assert done.returncode == -9 and is_abandoned(left)
    write_json(tmp_path / "other.json", {})
    assert os.listdir(tmp_path) == ["other.json"]


START = owner().split("-")[2]
"""When this process started."""
KEPT = {
    "of another living process": f".a.soars-{owner()}.nii.gz",
    "of another computer": ".a.soars-000000-1-1.nii.gz",
    "of a user": ".a.nii.gz",
    "of a user, with a number": ".a.1234.nii.gz",
    "no number": f".a.soars-{host()}-xyz-1.gz",
    "a whole file": "a.nii.gz",
}
REMOVED = {
    "no such process": f".a.soars-{host()}-7ffffff0-1.nii.gz",
    "the number has another process by now": f".a.soars-{host()}-{os.getpid():x}-{int(START, 16) - 100:x}.nii.gz",
    "without an ending": f".a.soars-{host()}-7ffffff0-1",
}


@pytest.mark.parametrize("name", [*KEPT.values(), *REMOVED.values()], ids=[*KEPT, *REMOVED])
def test_only_files_of_dead_processes_of_this_computer_are_removed(tmp_path, name):
    (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == ([name] if name in KEPT.values() else [])


def test_a_folder_that_cannot_be_listed_is_left_alone(tmp_path):
    remove_abandoned(tmp_path / "nowhere")


def test_a_file_that_another_run_is_writing_stays(tmp_path):
    code = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "print('written', flush=True); sys.stdin.read()")
    command = [sys.executable, "-c", code, str(tmp_path / "a.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "written\n"
        with replacing(tmp_path / "b.json") as temporary:
            temporary.write_text("{}")
        (left,) = [name for name in os.listdir(tmp_path) if name.startswith(".")]
        other.stdin.close()
        assert other.wait(timeout=60) == 0
    assert "soars-" in left and sorted(os.listdir(tmp_path)) == ["a.json", "b.json"]
    assert Path(tmp_path / "a.json").read_text() == "half"
