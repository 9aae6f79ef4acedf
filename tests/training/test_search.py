import json
from pathlib import Path

import numpy as np
import pytest
import torch

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cli.plan import main as plan_command
from soars_nnunet.networks.genotype import KINDS, genotype_entry, load_genotypes
from soars_nnunet.training.gammas import read_gammas, write_gammas
from soars_nnunet.training.search import (
    SOARSAnchorSearchTrainer,
    SOARSDetectionSearchTrainer,
    SOARSMidLevelSearchTrainer,
    SOARSSmallHardSearchTrainer,
    split_for_search,
)

SEARCHES = {
    "anchor": SOARSAnchorSearchTrainer,
    "mid_level": SOARSMidLevelSearchTrainer,
    "detection": SOARSDetectionSearchTrainer,
    "small_hard": SOARSSmallHardSearchTrainer,
}
TINY = {
    "search_frozen_epochs": 1,
    "search_joint_epochs": 2,
    "search_iterations_per_epoch": 2,
    "val_iterations_per_epoch": 1,
    "search_alpha_lr": 0.1,
}


def search_of(cascade, branch, **settings):
    plans = read_json(cascade.plans(branch, DEFAULT_PLANS))
    plans["continue_training"] = False
    PlansFile(plans).configuration["soars"].update({**TINY, **settings})
    dataset_json = read_json(cascade.preprocessed(branch) / "dataset.json")
    return SEARCHES[branch](plans, CONFIGURATION, 0, dataset_json, torch.device("cpu"))


def planned_genotype(cascade):
    plans = read_json(cascade.plans("anchor", DEFAULT_PLANS))
    return PlansFile(plans).configuration["architecture"]["arch_kwargs"]["genotype"]


def patients(cases):
    return {str(case).partition("__")[0] for case in cases}


class Killed(Exception):
    pass


def kill_at(trainer, epoch):
    start = trainer.on_epoch_start

    def on_epoch_start():
        if trainer.current_epoch == epoch:
            raise Killed
        start()

    trainer.on_epoch_start = on_epoch_start


@pytest.mark.parametrize("cases", [[f"p{i}" for i in range(9)], [f"p{i}_{scan}" for i in range(4) for scan in "ab"]])
@pytest.mark.parametrize("seed", range(3))
def test_split_is_by_patient_and_complete(cases, seed):
    shares = split_for_search(cases, lambda case: case[:2], 1 / 3, seed)
    sides = {side: {case[:2] for case in part} for side, part in shares.items()}
    assert not sides["weights"] & sides["alpha"]
    assert sorted(shares["weights"] + shares["alpha"]) == sorted(cases)
    assert len(sides["alpha"]) == round(len({case[:2] for case in cases}) / 3)
    assert shares == split_for_search(cases, lambda case: case[:2], 1 / 3, seed)


def test_split_gives_each_side_a_patient():
    assert all(
        split_for_search(["a", "b"], str, share, 0)[side] for share in (0.0, 1.0) for side in ("alpha", "weights")
    )
    with pytest.raises(RuntimeError, match="at least 2 training patients"):
        split_for_search(["a1", "a2"], lambda case: case[0], 1 / 3, 0)


@pytest.mark.parametrize("branch", SEARCHES)
def test_search_runs_on_disjoint_patients(cascade_copy, branch, monkeypatch):
    trainer = search_of(cascade_copy, branch)
    seen = {"weights": set(), "alpha": set(), "val": set()}
    step, validate = trainer._step, trainer.validation_step
    moved = []

    def recording_step(batch, moving, resting):
        side = "alpha" if len(moving) == 4 else "weights"
        seen[side] |= set(batch["keys"])
        before = [parameter.detach().clone() for parameter in (*moving, *resting)]
        result = step(batch, moving, resting)
        changed = [not torch.equal(a, b) for a, b in zip(before, (*moving, *resting), strict=True)]
        moved.append((trainer.current_epoch, side, any(changed[: len(moving)]), any(changed[len(moving) :])))
        return result

    def recording_validation(batch):
        seen["val"] |= set(batch["keys"])
        return validate(batch)

    monkeypatch.setattr(trainer, "_step", recording_step)
    monkeypatch.setattr(trainer, "validation_step", recording_validation)
    trainer.run_training()

    split = cascade_copy.splits(branch)[0]
    assert patients(seen["val"]) <= patients(split["val"])
    assert patients(seen["weights"]) | patients(seen["alpha"]) <= patients(split["train"])
    assert seen["weights"] and seen["alpha"] and not patients(seen["weights"]) & patients(seen["alpha"])
    assert not (patients(seen["weights"]) | patients(seen["alpha"])) & patients(split["val"])
    expected = [(0, "weights")] * 2 + [
        (epoch, side) for epoch in (1, 2) for _ in range(2) for side in ("alpha", "weights")
    ]
    assert moved == [(epoch, side, True, False) for epoch, side in expected]

    history = read_gammas(Path(trainer.output_folder) / "gammas.csv")
    assert history.shape == (3, 4, 6)
    np.testing.assert_allclose(history[0], 1 / 6, rtol=1e-6)
    np.testing.assert_allclose(history[-1], trainer.network.gammas(), rtol=1e-6)
    assert (history[2] != history[1]).any()
    entry = load_genotypes(Path(trainer.output_folder) / "genotype.json")[branch]
    assert entry["kinds"] == [KINDS[row.argmax()] for row in history[-1]]
    assert entry["epochs"] == [1, 2] and entry["seed"] == 0
    assert (Path(trainer.output_folder) / "gammas.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(("branch", "epoch"), [("anchor", 2), ("anchor", 1), ("detection", 2)])
def test_killed_search_ends_like_an_uninterrupted_one(cascade_copy, branch, epoch):
    whole = search_of(cascade_copy, branch)
    whole.run_training()
    expected = [value.clone() for value in whole.network.state_dict().values()]
    folder = Path(whole.output_folder)
    history, genotype = (folder / "gammas.csv").read_bytes(), read_json(folder / "genotype.json")
    for path in folder.glob("*"):
        path.unlink()

    torch.manual_seed(123)
    np.random.seed(123)
    first = search_of(cascade_copy, branch)
    kill_at(first, epoch)
    with pytest.raises(Killed):
        first.run_training()
    torch.manual_seed(456)
    np.random.seed(456)
    second = search_of(cascade_copy, branch)
    second.load_checkpoint(str(folder / "checkpoint_latest.pth"))
    second.run_training()
    assert (folder / "gammas.csv").read_bytes() == history
    assert read_json(folder / "genotype.json") == genotype
    for ours, theirs in zip(second.network.state_dict().values(), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_alpha_keeps_its_rate_and_has_no_decay(cascade_copy):
    trainer = search_of(cascade_copy, "anchor", search_alpha_lr=0.07)
    trainer.initialize()
    for epoch in range(3):
        trainer.lr_scheduler.step(epoch)
    weights, alphas = trainer.optimizer.param_groups
    assert alphas["lr"] == 0.07 and weights["lr"] < trainer.initial_lr
    assert alphas["weight_decay"] == 0 and weights["weight_decay"] > 0
    assert len(alphas["params"]) == 4


def test_plan_takes_the_found_genotype(cascade_copy, tmp_path, capsys):
    gammas = np.full((4, 6), 0.1)
    gammas[range(4), [3, 0, 5, 2]] = 0.5
    gammas[1, 4] = 0.495
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps({"anchor": genotype_entry(gammas, {"seed": 0})}))
    assert plan_command(["-d", "7", "--branches", "anchor", "--genotype", str(path), "-np", "1"]) == 0
    said = capsys.readouterr().out
    assert "anchor: genotype 3D5 2D3 P3D5 3D3; near-ties, best ahead by less than 0.02: 1 of 4 blocks (block 2)" in said
    assert planned_genotype(cascade_copy) == ["3D5", "2D3", "P3D5", "3D3"]
    assert plan_command(["-d", "7", "--branches", "anchor", "-np", "1"]) == 0, "remembered"
    assert planned_genotype(cascade_copy) == ["3D5", "2D3", "P3D5", "3D3"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"anchor": ["2D3"]}', '{"anchor": {"kinds": ["2D3"]}}', '{"ancor": {"kinds": []}}']
)
def test_bad_genotype_files_are_refused(cascade_copy, tmp_path, text, capsys):
    path = tmp_path / "genotype.json"
    path.write_text(text)
    assert plan_command(["-d", "7", "--genotype", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and ("genotype file" in error or "expected 4 kinds" in error)


def test_gamma_history_round_trip(tmp_path):
    history = np.random.default_rng(0).dirichlet(np.ones(6), (5, 4))
    write_gammas(tmp_path / "g.csv", history)
    np.testing.assert_allclose(read_gammas(tmp_path / "g.csv"), history, rtol=1e-8)
    assert read_gammas(tmp_path / "none.csv").shape == (0, 4, 6)


def test_one_genotype_a_branch(cascade_copy, tmp_path, capsys):
    path = tmp_path / "genotype.json"
    path.write_text('{"anchor": {"kinds": ["2D3", "2D3", "2D3", "2D3"]}}')
    assert plan_command(["-d", "7", "--genotype", str(path), str(path)]) == 2
    assert "anchor is named twice" in capsys.readouterr().err


def test_patient_on_both_sides_is_refused(cascade_copy):
    trainer = search_of(cascade_copy, "anchor", patient_pattern="(phantom)")
    with pytest.raises(RuntimeError, match="both sides of fold 0"):
        trainer.do_split()


def test_a_new_genotype_does_not_stop_the_search(cascade_copy):
    first = search_of(cascade_copy, "anchor", search_joint_epochs=0)
    first.run_training()
    path = cascade_copy.plans("anchor", DEFAULT_PLANS)
    plans = read_json(path)
    PlansFile(plans).configuration["architecture"]["arch_kwargs"]["genotype"] = ["2D3"] * 4
    path.write_text(json.dumps(plans))
    search_of(cascade_copy, "anchor", search_joint_epochs=0).on_train_start()
    with pytest.raises(RuntimeError, match="models of other plans"):
        search_of(cascade_copy, "anchor", search_joint_epochs=1).on_train_start()
