"""The course of a search as a file."""

import numpy as np
import pytest

from soars_nnunet.networks.genotype import KINDS
from soars_nnunet.training.gammas import gamma_lines, plot_gammas, read_gammas, write_gammas


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_a_history_comes_back(tmp_path, epochs):
    history = np.random.default_rng(0).dirichlet(np.ones(len(KINDS)), (epochs, 4))
    write_gammas(tmp_path / "gammas.csv", history)
    found = read_gammas(tmp_path / "gammas.csv")
    assert found.shape == (epochs, 4, len(KINDS))
    np.testing.assert_allclose(found, history, rtol=1e-8)


def test_without_a_file_there_is_no_epoch(tmp_path):
    assert read_gammas(tmp_path / "gammas.csv").shape == (0, 4, len(KINDS))


def test_rows_name_epoch_and_block(tmp_path):
    write_gammas(tmp_path / "gammas.csv", np.full((2, 4, len(KINDS)), 0.25))
    lines = (tmp_path / "gammas.csv").read_text().split()
    assert lines[0] == ",".join(("epoch", "block", *KINDS)) and len(lines) == 9
    assert [line.split(",")[:2] for line in lines[4:6]] == [["0", "4"], ["1", "1"]]


def test_lines_and_plot_show_every_block(tmp_path):
    gammas = np.arange(24).reshape(4, 6) / 100
    lines = gamma_lines(gammas)
    assert len(lines) == 4 and lines[1].startswith("gamma block 2: ") and f"{KINDS[5]} 0.1100" in lines[1]
    plot_gammas(tmp_path / "gammas.png", gammas[None], 1)
    assert (tmp_path / "gammas.png").read_bytes().startswith(b"\x89PNG")
