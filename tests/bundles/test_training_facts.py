"""What a training's files say: against what the fixture trained, and against made-up records."""

from dataclasses import replace

import pytest
import torch

from soars_nnunet.bundles.training_facts import (
    OrganPatients,
    Training,
    patients_by_organ,
    read_training,
    require_one_split,
)
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint


def training(branch, fold, split="s"):
    return Training(
        branch=branch,
        fold=fold,
        epochs=2,
        steps=100,
        ended="2026-11-28",
        hours=0.5,
        device="cpu",
        parameters=10,
        split_sha256=split,
    )


def test_a_training_is_read_from_its_checkpoint(cascade_copy):
    folder = cascade_copy.model("anchor", DEFAULT_PLANS)
    path = folder / "fold_1" / "checkpoint_final.pth"
    checkpoint = load_checkpoint(path)
    checkpoint["current_epoch"] = 3
    checkpoint["logging"] |= {"epoch_start_timestamps": [0.0, 7200.0], "epoch_end_timestamps": [1800.0, 9000.0]}
    torch.save(checkpoint, path)
    (folder / "fold_1" / "debug.json").write_text('{"device": "cuda:0", "gpu_name": "H100", "hostname": "secret"}')
    found = read_training("anchor", 1, folder)
    settings = PlansFile.read(folder / "plans.json").settings
    assert (found.branch, found.fold, found.epochs) == ("anchor", 1, 3)
    assert found.steps == 3 * settings.iterations_per_epoch
    assert (found.hours, found.ended, found.device) == (1.0, "1970-01-01", "H100")
    assert found.split_sha256 == cascade_copy.split_hash("anchor")
    learnt = {name: tensor for name, tensor in checkpoint["network_weights"].items() if "running" not in name}
    assert found.parameters == sum(t.numel() for name, t in learnt.items() if not name.endswith("num_batches_tracked"))


def test_a_checkpoint_without_log_and_plans_says_less(cascade_copy):
    folder = cascade_copy.model("anchor", DEFAULT_PLANS)
    path = folder / "fold_0" / "checkpoint_final.pth"
    torch.save({"network_weights": load_checkpoint(path)["network_weights"]}, path)
    (folder / "fold_0" / "debug.json").unlink(missing_ok=True)
    found = read_training("anchor", 0, folder)
    assert (found.epochs, found.hours, found.ended, found.device) == (0, None, "", "")
    assert found.split_sha256 == PlansFile.read(folder / "plans.json").split_sha256


def test_one_split_of_all_branches_is_taken(untrained_cascade):
    manifest = Manifest.load(untrained_cascade.manifest(DEFAULT_PLANS))
    fitting = [training("anchor", 0), training("mid_level", 0), training("small_hard", 0, "crops")]
    require_one_split(manifest, fitting, {})
    require_one_split(manifest, fitting, {"anchor": "s", "small_hard": "crops"})
    require_one_split(manifest, [training("anchor", 0, None)], {})


@pytest.mark.parametrize(
    ("trainings", "present", "named"),
    [
        ([training("anchor", 0), training("anchor", 1, "t")], {}, "anchor fold 1;"),
        (
            [training("anchor", 0), training("detection", 2, "t"), training("mid_level", 1, "u")],
            {},
            "detection fold 2, ",
        ),
        ([training("small_hard", 0, "x"), training("small_hard", 1, "y")], {}, "small_hard fold 1;"),
        ([training("anchor", 0), training("anchor", 1)], {"anchor": "new"}, "anchor fold 0, anchor fold 1;"),
    ],
)
def test_folds_of_another_split_are_refused_by_name(untrained_cascade, trainings, present, named):
    manifest = Manifest.load(untrained_cascade.manifest(DEFAULT_PLANS))
    with pytest.raises(MissingArtifactError, match=named):
        require_one_split(manifest, trainings, present)


def test_branches_of_other_patients_are_refused(untrained_cascade):
    manifest = Manifest.load(untrained_cascade.manifest(DEFAULT_PLANS))
    other = replace(manifest.branches["anchor"], training_patients=(("a",), ("b",)))
    manifest = replace(manifest, branches={**manifest.branches, "anchor": other})
    with pytest.raises(MissingArtifactError, match="same training patients in every branch"):
        require_one_split(manifest, [training("anchor", 0)], {})


def test_patients_by_organ_are_those_who_have_its_contour(untrained_cascade, monkeypatch):
    """Two CTs of a patient count once; organs that are empty or not annotated do not count."""
    splits = [{"train": ["p1_a", "p1_b", "p2_a"], "val": ["p3_a"]}, {"train": ["p3_a"], "val": ["p1_a"]}]
    monkeypatch.setattr(Cascade, "splits", lambda self, branch="anchor": splits)
    cascade = replace(
        untrained_cascade,
        labels={"Brainstem": 1, "Eye_L": 2},
        cases=("p1_a", "p1_b", "p2_a", "p3_a"),
        empty={"p2_a": ["Eye_L"]},
        not_annotated={"p3_a": ["Eye_L"], "p1_a": ["Eye_L"]},
        patient_pattern=r"(p\d)_",
    )
    assert patients_by_organ(cascade) == (
        OrganPatients("Brainstem", 3, (2, 1)),
        OrganPatients("Eye_L", 1, (1, 0)),
    )
