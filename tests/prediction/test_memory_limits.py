"""How much memory there is."""

from dataclasses import replace

import numpy as np
import psutil

from soars_nnunet.prediction import files as files
from soars_nnunet.prediction import memory_limits
from soars_nnunet.prediction import succession as succession
from soars_nnunet.prediction.memory_limits import GIB, GROUP_VERSIONS, available_bytes, held_bytes, total_bytes


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB + GIB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GIB // 2}\n")  # cache that can be given back
    monkeypatch.setattr(memory_limits, "GROUP_VERSIONS", (replace(GROUP_VERSIONS[0], root=tmp_path),))
    assert available_bytes() == min(GIB, psutil.virtual_memory().available)
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() > GIB
    # a batch job's group lies below
    job = tmp_path / "slurm" / "job_7"
    job.mkdir(parents=True)
    (tmp_path / "own").write_text("3:cpu:/elsewhere\n0::/slurm/job_7\n")
    monkeypatch.setattr(memory_limits, "OWN_GROUPS", tmp_path / "own")
    (job.parent / "memory.max").write_text(f"{GIB}\n")
    for folder in (job, job.parent):
        (folder / "memory.current").write_text(f"{GIB // 2}\n")
        (folder / "memory.stat").write_text("inactive_file 0\n")
    (job / "memory.max").write_text("max\n")
    assert available_bytes() == GIB // 2
    (job / "memory.max").write_text(f"{GIB // 2 + 5}\n")
    assert available_bytes() == 5
    assert total_bytes() == GIB // 2 + 5


def test_groups_of_the_first_version_are_read_too(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limits, "GROUP_VERSIONS", (replace(GROUP_VERSIONS[1], root=tmp_path),))
    monkeypatch.setattr(memory_limits, "OWN_GROUPS", tmp_path / "own")
    (tmp_path / "own").write_text("5:memory:/job\n4:cpu,cpuacct:/elsewhere\n")
    job = tmp_path / "job"
    job.mkdir()
    (job / "memory.limit_in_bytes").write_text(f"{7 * GIB // 8}\n")
    (job / "memory.usage_in_bytes").write_text(f"{GIB // 2}\n")
    (job / "memory.stat").write_text(f"cache 9\ntotal_inactive_file {GIB // 8}\n")
    assert total_bytes() == 7 * GIB // 8
    assert available_bytes() == GIB // 2
    (job / "memory.stat").write_text("cache 9\n")  # says nothing of what can be given back
    assert total_bytes() > GIB


def test_a_group_that_uses_more_than_its_limit_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limits, "GROUP_VERSIONS", (replace(GROUP_VERSIONS[0], root=tmp_path),))
    (tmp_path / "memory.max").write_text("100")
    (tmp_path / "memory.current").write_text("200")
    (tmp_path / "memory.stat").write_text("inactive_file 0")
    assert available_bytes() == 0


def test_what_the_process_holds_grows_with_what_it_allocates():
    before = held_bytes()
    block = np.ones(2**26, np.uint8)
    assert held_bytes() - before > 0.9 * block.nbytes
