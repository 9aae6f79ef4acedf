"""Plans of the end-to-end fine-tuning."""

import numpy as np
import pytest

from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, FINE_TUNING_PLANNER, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import plan as plan_command
from soars_nnunet.errors import InputError
from soars_nnunet.planning.fine_tuning import plan_fine_tuning


def test_epochs_are_passes_of_whatever_batch(cascade_copy):
    def iterations(*overrides):
        assert plan_command.main(["-d", "7", "--fine-tune", "Passes", "-np", "1", "--set", *overrides]) == 0
        plans = read_json(Cascade.path(cascade_copy.source).parent / "Passes.json")
        return PlansFile(plans).configuration["soars"]["iterations_per_epoch"]

    cases = np.mean([len(split["train"]) for split in cascade_copy.splits()])
    passes = ["iterations_per_epoch=null", "patches_per_volume=6"]
    assert [iterations(*passes, f"batch_size={n}") for n in (1, 4)] == [6 * cases, np.ceil(6 * cases / 4)]
    # branches whose epochs are passes hand that on
    path = cascade_copy.model("anchor", DEFAULT_PLANS) / "plans.json"
    plans = read_json(path)
    settings = PlansFile(plans).configuration["soars"]
    settings |= {"patches_per_volume": 6, "iterations_per_epoch": int(np.ceil(6 * cases / settings["batch_size"]))}
    write_json(path, plans)
    assert iterations("batch_size=1") == 6 * cases
    settings["iterations_per_epoch"] = 5
    write_json(path, plans)
    assert iterations("batch_size=1") == 5


def test_plans_of_a_fine_tuning_are_not_planned_over(cascade_copy, capsys):
    plan_fine_tuning(cascade_copy, "FineTuned", DEFAULT_PLANS, num_processes=1)
    path = cascade_copy.plans("anchor", "FineTuned")
    before = path.read_bytes()
    assert plan_command.main(["-d", "7", "--plans-name", "FineTuned"]) == 2
    assert "--plans-name FineTuned: expected a new name" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_taken_name_and_foreign_options_are_refused(cascade_copy, capsys):
    before = cascade_copy.plans("anchor", DEFAULT_PLANS).read_bytes()
    assert plan_command.main(["-d", "7", "--fine-tune", DEFAULT_PLANS]) == 2
    assert "choose another" in capsys.readouterr().err
    assert cascade_copy.plans("anchor", DEFAULT_PLANS).read_bytes() == before
    assert plan_command.main(["-d", "7", "--fine-tune", "New", "--spacing", "3", "3", "3"]) == 2
    assert "--spacing" in capsys.readouterr().err
    assert plan_command.main(["-d", "7", "--fine-tune", "New", "--set", 'fine_tuned=["anchors"]']) == 2
    assert "expected a list of some of anchor, mid_level" in capsys.readouterr().err
    assert plan_command.main(["-d", "7", "--fine-tune", "New", "--set", "p_scaling=1"]) == 2
    assert "there are num_epochs, iterations_per_epoch" in capsys.readouterr().err
    assert plan_command.main(["-d", "7", "--fine-tune", "New", "--plans-name", "New"]) == 2
    assert "--plans-name New: expected plans" in capsys.readouterr().err
    for fold in (0, 1):
        (cascade_copy.model("mid_level", DEFAULT_PLANS) / f"fold_{fold}" / "checkpoint_final.pth").unlink()
    assert plan_command.main(["-d", "7", "--fine-tune", "New"]) == 2
    assert "nnUNetv2_train 72 3d_fullres 0 -tr SOARSMidLevelTrainer" in capsys.readouterr().err
    assert not (Cascade.path(cascade_copy.source).parent / "New.json").exists()


def test_all_networks_are_joined_in_one_plan_and_copied_under_its_name(cascade_copy):
    said = []
    tuned = ['fine_tuned=["small_hard","anchor"]', "batch_size=3", "num_epochs=5", "iterations_per_epoch=2"]
    path = plan_fine_tuning(cascade_copy, "Joined", DEFAULT_PLANS, tuned, num_processes=1, progress=said.append)
    plans = PlansFile.read(path)
    assert plans.contents["dataset_name"] == cascade_copy.source and path.stem == plans.contents["plans_name"]
    assert plans.configuration["batch_size"] == plans.settings.batch_size == 3
    assert plans.settings.fine_tuned == ("anchor", "small_hard"), "in the order of the cascade"
    assert "moving anchor, small_hard; 5 x 2 iterations" in said[0]
    joined = plans.configuration["architecture"]["arch_kwargs"]
    assert joined["trained"] == ["anchor", "small_hard"] and joined["guided"] == [
        "mid_level",
        "detection",
        "small_hard",
    ]
    for key in ("anchor", "mid_level", "detection", "small_hard"):
        alone = PlansFile.read(cascade_copy.plans(key, DEFAULT_PLANS))
        labels = read_json(cascade_copy.preprocessed(key) / "dataset.json")["labels"]
        network = joined["branches"][key]
        assert (network["input_channels"], network["num_classes"]) == (alone.settings.num_channels, len(labels))
        assert network["genotype"] == alone.configuration["architecture"]["arch_kwargs"]["genotype"]
        assert ["background", *(name for name, _ in plans.settings.cascade[key].classes)] == list(labels)
        copied = PlansFile.read(cascade_copy.plans(key, "Joined"))
        assert copied.configuration == alone.configuration
        assert copied.contents["experiment_planner_used"] == FINE_TUNING_PLANNER


@pytest.mark.parametrize("moved", ['["small_hard"]', '["anchor", "baseline"]'])
def test_some_branch_of_the_whole_ct_has_to_move(cascade_copy, moved):
    with pytest.raises(InputError, match="more than small_hard alone, got"):
        plan_fine_tuning(cascade_copy, "Joined", DEFAULT_PLANS, [f"fine_tuned={moved}"])
    assert not (Cascade.path(cascade_copy.source).parent / "Joined.json").exists()


def test_one_graph_needs_one_grid(cascade_copy):
    for path in (cascade_copy.plans("mid_level", DEFAULT_PLANS), cascade_copy.model("mid_level", DEFAULT_PLANS)):
        path = path / "plans.json" if path.is_dir() else path
        plans = PlansFile.read(path)
        plans.configuration["spacing"] = [9.0, 8.0, 7.0]
        write_json(path, plans.contents)
    with pytest.raises(InputError, match="mid_level works at 9 x 8 x 7 mm .* the anchors at 9 x 8 x 8 mm"):
        plan_fine_tuning(cascade_copy, "Joined", DEFAULT_PLANS)
