"""Nothing from outside is unpickled but numbers, arrays and containers of them."""

import os
import pickle
import sys
from collections import OrderedDict

import numpy as np
import pytest

from soars_nnunet.cascade.plain_pickles import PLAIN, read_plain_pickle, require_plain_pickles
from soars_nnunet.errors import MissingArtifactError

PROPERTIES = {
    "sitk_stuff": {"spacing": (1.0, 1.0, 3.0), "direction": (1.0,) * 9},
    "spacing": [3.0, np.float64(1.0), np.float32(1.0)],
    "bbox_used_for_cropping": [[0, 3], [1, np.int64(4)], [0, 2]],
    "class_locations": {1: np.arange(12).reshape(3, 4), 2: np.zeros((0, 4), np.int32)},
    "box": slice(1, 3),
    "more": OrderedDict(a=None, b=True, c=b"abc"),
}


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_what_nnunet_stores_comes_back(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(PROPERTIES, protocol))
    found = read_plain_pickle(path)
    assert found["box"] == slice(1, 3) and found["spacing"] == PROPERTIES["spacing"]
    for label, places in PROPERTIES["class_locations"].items():
        assert np.array_equal(found["class_locations"][label], places)
    assert found["more"] == PROPERTIES["more"] and found["sitk_stuff"] == PROPERTIES["sitk_stuff"]
    require_plain_pickles(tmp_path)


def written(name):
    """A pickle that names something, without needing it here."""
    module, _, attribute = name.rpartition(".")
    return b"c" + f"{module}\n{attribute}\n".encode() + b"(S'true'\ntR."


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "builtins.getattr", "subprocess.Popen", "torch.load", "numpy.load"]
    + ["numpy.fromfile", "numpy.core.multiarray.fromfile", "soars_nnunet.cascade.storage.write_text", "shutil.rmtree"],
)
def test_every_other_name_is_refused_before_it_is_found(tmp_path, name):
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(PROPERTIES))
    (tmp_path / "a.pkl").write_bytes(written(name))
    with pytest.raises(
        MissingArtifactError, match=f"a.pkl: expected nnU-Net's .* names {name}, which is no data"
    ) as no:
        require_plain_pickles(tmp_path)
    assert str(no.value).isprintable() and "b.pkl" not in str(no.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_not_run(tmp_path, protocol):
    proof = tmp_path / "executed"
    content = pickle.dumps({"class_locations": [Runs(proof)]}, protocol)
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(MissingArtifactError, match="system, which is no data"):
        read_plain_pickle(tmp_path / "a.pkl")
    assert not proof.exists()
    pickle.loads(content)
    assert proof.exists(), "it would have run code"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x05", pickle.dumps(PROPERTIES)[:-30], b"(" * 100_000, b"0."])
def test_what_is_no_pickle_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(MissingArtifactError, match="a.pkl: expected .*delete its folder and run soars-plan") as no:
        read_plain_pickle(tmp_path / "a.pkl")
    assert "\n" not in str(no.value)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pkl")
    with pytest.raises(MissingArtifactError, match="no file of at most"):
        read_plain_pickle(tmp_path / "a.pkl")


def test_python_is_asked_for_nothing_but_plain_names(tmp_path):
    """The interpreter's own audit sees every name that any unpickling looks up."""
    seen = []
    sys.addaudithook(lambda event, given: seen.append(given) if event == "pickle.find_class" else None)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(PROPERTIES))
    read_plain_pickle(tmp_path / "a.pkl")
    assert seen and set(seen) <= PLAIN
    before = len(seen)
    (tmp_path / "b.pkl").write_bytes(written("os.system"))
    with pytest.raises(MissingArtifactError):
        read_plain_pickle(tmp_path / "b.pkl")
    assert len(seen) == before
