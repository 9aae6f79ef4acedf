"""scripts/benchmarks/fresh_process.py: what comes back from a process, and what does not."""

import pytest

from scripts.benchmarks.fresh_process import DiedError, as_arguments, run_fresh


def test_the_last_line_is_read(monkeypatch, tmp_path):
    (tmp_path / "said.py").write_text("import json, sys\nprint('at work')\nprint(json.dumps(sys.argv[1:]))\n")
    (tmp_path / "fails.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run_fresh("said", ["--shape"] + as_arguments([1, 2])) == ["--shape", "1", "2"]
    with pytest.raises(DiedError, match="3"):
        run_fresh("fails", [])
