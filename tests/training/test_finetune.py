"""The cascade in one graph: that it is the same cascade, that VOIs lie where they should, what it leaves behind."""

import itertools
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.ndimage import map_coordinates

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, NOT_ANNOTATED, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed
from soars_nnunet.cli import plan as plan_command
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.cascade import Vois, sample_heatmaps
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.training.cascade_loss import CascadeLoss
from soars_nnunet.training.finetune import SOARSFineTuneTrainer

TINY = ["num_epochs=1", "iterations_per_epoch=2", "val_iterations_per_epoch=1"]


def fine_tuning(cascade, *overrides, name="FineTuned"):
    """A planned trainer of fold 0."""
    assert plan_command.main(["-d", "7", "--fine-tune", name, "-np", "1", "--set", *TINY, *overrides]) == 0
    folder = Cascade.path(cascade.source).parent
    plans = {**read_json(folder / f"{name}.json"), "continue_training": False}
    return SOARSFineTuneTrainer(plans, CONFIGURATION, 0, read_json(folder / "dataset.json"), torch.device("cpu"))


def test_side_outputs_weigh_as_in_the_branches(cascade_copy):
    weights = [1.0, 0.5, 0.25, 0.0]
    path = cascade_copy.model("mid_level", DEFAULT_PLANS) / "plans.json"
    plans = read_json(path)
    PlansFile(plans).configuration["soars"]["side_output_weights"] = weights
    write_json(path, plans)
    trainer = fine_tuning(cascade_copy)
    trainer.initialize()
    assert {key: list(own) for key, own in trainer.loss.weights.items() if key in ("anchor", "mid_level")} == {
        "anchor": [0.25] * 4,
        "mid_level": [weight / 1.75 for weight in weights],
    }
    outputs, target = torch.randn(4, 2, 3), torch.randn(2, 3)
    loss = CascadeLoss({"a": torch.nn.MSELoss()}, {"a": weights})({"a": list(outputs)}, [target])
    expected = sum(w * ((o - target) ** 2).mean() for w, o in zip(weights, outputs, strict=True)) / 1.75
    torch.testing.assert_close(loss, expected)


def test_crops_of_another_grid_than_the_networks_are_refused(cascade_copy, capsys):
    trainer = fine_tuning(cascade_copy)
    path = cascade_copy.plans("small_hard", DEFAULT_PLANS)
    plans = read_json(path)
    PlansFile(plans).configuration["spacing"][0] *= 2
    write_json(path, plans)
    with pytest.raises(MissingArtifactError, match="its cases are now preprocessed at"):
        trainer.initialize()
    assert plan_command.main(["-d", "7", "--fine-tune", "Again", "--set", *TINY]) == 2
    assert "SOARSSmallHardTrainer__nnUNetPlans__3d_fullres: trained at" in capsys.readouterr().err


def test_the_graph_is_the_cascade(cascade_copy):
    trainer = fine_tuning(cascade_copy)
    trainer.initialize()
    network = trainer.network.eval()
    case = cascade_copy.splits()[0]["val"][0]
    folder = Cascade.path(cascade_copy.source).parent / f"FineTuned_{CONFIGURATION}"
    ct = torch.from_numpy(load_preprocessed(folder, case)[0])[None]
    np.testing.assert_array_equal(ct[0], load_preprocessed(cascade_copy.data("anchor", DEFAULT_PLANS), case)[0])
    crops = torch.randn(3, 1, 8, 9, 7, generator=torch.Generator().manual_seed(0))
    axes = [torch.linspace(1, 9, 9)] * 3
    network.vois = Vois(crops, [0, 0, 0], torch.stack(axes)[None].repeat(3, 1, 1))
    with torch.inference_mode():
        outputs = network(ct)
        models = {
            k: BranchModel(ModelFolder(cascade_copy.model(k, DEFAULT_PLANS)), [0], torch.device("cpu")) for k in outputs
        }
        alone = {key: model.networks[0] for key, model in models.items()}
        close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)  # BatchNorm is folded in these
        anchor = alone["anchor"](ct)
        guided = torch.cat((ct, anchor.softmax(1)[:, 1:]), dim=1)
        close(outputs["anchor"][0], anchor)
        close(outputs["mid_level"][0], alone["mid_level"](guided))
        heatmaps = alone["detection"](guided)
        close(outputs["detection"][0], heatmaps)
        channels = torch.cat((crops, sample_heatmaps(heatmaps[:, 1:].clamp(0, 1), network.vois)), dim=1)
        close(outputs["small_hard"][0], alone["small_hard"](channels))


def test_crops_lie_where_they_were_cut(cascade_copy):
    """The case's own CT, read at the crop's points, looks like the crop: in odd orientations and padded scans too."""
    trainer = fine_tuning(cascade_copy)
    trainer.initialize()
    trainer.get_tr_and_val_datasets()
    folder = Cascade.path(cascade_copy.source).parent / f"FineTuned_{CONFIGURATION}"
    whole_unit, crop_unit = (
        PlansFile.read(cascade_copy.plans(branch, DEFAULT_PLANS)).configuration["soars"]["hu_per_unit"]
        for branch in ("anchor", "small_hard")
    )
    assert len(trainer.crops) == 4
    for case, crops in trainer.crops.items():
        whole = load_preprocessed(folder, case)[0][0] * whole_unit / crop_unit
        best = []
        for crop, geometry in crops:
            data = load_preprocessed(cascade_copy.data("small_hard", DEFAULT_PLANS), crop)[0][0]
            assert data.shape == geometry.shape
            likeness, frames = {}, (geometry.start, geometry.step, data.shape)
            for shift in itertools.product((-1, 0, 1), repeat=3):
                axes = [s + d * np.arange(n) + o for s, d, n, o in zip(*frames, shift, strict=True)]
                read = map_coordinates(whole, np.meshgrid(*axes, indexing="ij"), order=1, cval=np.nan)
                known = np.isfinite(read) & (data > 0)
                likeness[shift] = -np.abs(read - data)[known].mean() if known.sum() > 50 else np.nan
            best.append(max(likeness, key=lambda shift: np.nan_to_num(likeness[shift], nan=-np.inf)))
        assert best.count((0, 0, 0)) >= 0.8 * len(best), best


def test_a_windows_points_follow_its_voxels(cascade_copy):
    """CT, labels and points of a training window are cut alike."""
    trainer = fine_tuning(cascade_copy)
    trainer.initialize()
    trainer.get_tr_and_val_datasets()
    crop, geometry = next(iter(trainer.crops.values()))[0]
    data, segmentation, _ = load_preprocessed(cascade_copy.data("small_hard", DEFAULT_PLANS), crop)
    for size in ([3, 5, 4], [max(geometry.shape) + 3] * 3):
        origin = np.array([1.0, 2.0, 3.0])
        ct, labels, points = trainer._crop_arrays(crop, geometry, origin, size)
        assert list(ct.shape[1:]) == list(labels.shape[1:]) == size and points.shape == (3, max(size))
        frames = (points.numpy(), size, origin, geometry.start, geometry.step)
        voxels = [(p[:n] + o - s) / d for p, n, o, s, d in zip(*frames, strict=True)]
        for (z, y, x), value in np.ndenumerate(ct[0].numpy()):
            at = tuple(int(round(axis[i])) for axis, i in zip(voxels, (z, y, x), strict=True))
            inside = all(0 <= i < n for i, n in zip(at, geometry.shape, strict=True))
            assert value == (data[(0, *at)] if inside else 0)
            assert labels[0, z, y, x] == (max(segmentation[(0, *at)], 0) if inside else 0)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_fine_tuned_models_are_ordinary_ones(cascade_copy, frozen):
    moved = ["mid_level", "detection", "small_hard"] if frozen else ["anchor", "mid_level", "detection", "small_hard"]
    trainer = fine_tuning(cascade_copy, f"fine_tuned={moved}".replace("'", '"'), "vois_per_patch=3")
    vois = []
    prepared = trainer._prepared
    trainer._prepared = lambda batch: (prepared(batch), vois.append(trainer.network.vois))[0]
    trainer.run_training()
    assert any(batch is not None for batch in vois)
    trainer.perform_actual_validation()
    for key in ("anchor", "mid_level", "detection", "small_hard"):
        old, new = (
            load_checkpoint(cascade_copy.model(key, p) / "fold_0" / CHECKPOINT)["network_weights"]
            for p in (DEFAULT_PLANS, "FineTuned")
        )
        # not the statistics of BatchNorm, which move without an optimiser
        kernels = [k for k, v in new.items() if v.ndim == 5]
        changed = [k for k in kernels if not torch.equal(new[k], old[k])]
        assert bool(changed) == (key in moved), key
        if key not in moved:  # frozen means its statistics, too
            assert all(torch.equal(new[k], old[k]) for k in new), key
    image = sitk.ReadImage(str(raw_folder() / cascade_copy.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    labels, report = CascadePredictor(cascade_copy.manifest("FineTuned"), PredictionOptions(folds=[0])).predict(image)
    assert "FineTuned" in report["models"]["small_hard"]["name"]
    assert labels.GetSize() == image.GetSize() and len(report["targets"]) == 10
    model = cascade_copy.model("anchor", "FineTuned").parent.parent / cascade_copy.source
    (debug,) = model.rglob("debug.json")
    assert "phantom_0" not in debug.read_text()


def gradient(trainer, branch):
    found = [p.grad.abs().max() for p in trainer.network.branches[branch].parameters() if p.grad is not None]
    return max(found, default=0)


def first_with_vois(trainer):
    for _ in range(50):
        batch = trainer._prepared(next(trainer.dataloader_train))
        if trainer.network.vois is not None:
            return batch
    raise AssertionError("no batch with a VOI")


@pytest.mark.parametrize(
    ("branch", "reached"),
    [("mid_level", ["anchor"]), ("detection", ["anchor"]), ("small_hard", ["anchor", "detection"])],
)
def test_a_branch_teaches_those_that_guide_it(cascade_copy, branch, reached):
    trainer = fine_tuning(cascade_copy)
    trainer.on_train_start()
    batch = first_with_vois(trainer)
    outputs = trainer.network(batch["data"])
    targets = dict(zip(outputs, batch["target"], strict=True))
    trainer.loss.branches[branch](outputs[branch][0], targets[branch]).backward()
    moved = [key for key in outputs if gradient(trainer, key) > 0]
    assert sorted(moved) == sorted([*reached, branch])


def test_organs_that_nobody_drew_are_left_open(cascade_copy):
    cases = [case for split in cascade_copy.splits() for case in split["val"]]
    for branch, name in (("anchor", "Eye_L"), ("mid_level", "Larynx"), ("detection", "Pineal")):
        write_json(cascade_copy.preprocessed(branch) / NOT_ANNOTATED, {case: [name] for case in cases})
    crops = cascade_copy.splits("small_hard")[0]["train"]
    write_json(cascade_copy.preprocessed("small_hard") / NOT_ANNOTATED, {crop: ["Pineal"] for crop in crops})
    trainer = fine_tuning(cascade_copy)
    trainer.on_train_start()
    first_with_vois(trainer)
    for key, name in (("anchor", "Eye_L"), ("mid_level", "Larynx"), ("detection", "Pineal"), ("small_hard", "Pineal")):
        mask = trainer.loss.branches[key].not_annotated
        classes = ["background", *(organ for organ, _ in trainer.joined[key].classes)]
        assert [classes[i] for i in mask.any(0).nonzero()[:, 0]] == [name] and mask[:, classes.index(name)].all()
    counts = trainer.validation_step(next(trainer.dataloader_val))
    names = [organ for key in ("anchor", "mid_level") for organ, _ in trainer.joined[key].classes]
    totals = dict(zip(names, sum(counts[key] for key in ("tp_hard", "fp_hard", "fn_hard")), strict=True))
    assert totals["Eye_L"] == totals["Larynx"] == 0 and sum(totals.values()) > 0


def test_labels_of_no_organ_are_background(cascade_copy):
    trainer = fine_tuning(cascade_copy)
    trainer.on_train_start()
    batch = next(trainer.dataloader_train)
    drawn = trainer._prepared(batch)["target"][0]
    labels = batch["target"][0]
    brainstem = trainer.joined["anchor"].classes.index(("Brainstem", ("Brainstem",))) + 1
    np.testing.assert_array_equal(drawn == brainstem, labels == cascade_copy.labels["Brainstem"])
    batch["target"] = [torch.where(labels > 0, 200, labels)] * 4
    assert (drawn > 0).any() and (trainer._prepared(batch)["target"][0] == 0).all()


@pytest.mark.slow
def test_a_cascade_of_two_tiers_is_fine_tuned(cascade_copy):
    record = read_json(Cascade.path(cascade_copy.source))
    record["datasets"] = {key: record["datasets"][key] for key in ("anchor", "mid_level")}
    write_json(Cascade.path(cascade_copy.source), record)
    trainer = fine_tuning(cascade_copy)
    trainer.run_training()
    assert list(trainer.network.branches) == ["anchor", "mid_level"]
    assert (cascade_copy.model("mid_level", "FineTuned") / "fold_0" / "checkpoint_final.pth").is_file()


def test_only_numbered_folds_are_fine_tuned(cascade_copy):
    fine_tuning(cascade_copy)
    folder = Cascade.path(cascade_copy.source).parent
    plans = {**read_json(folder / "FineTuned.json"), "continue_training": False}
    with pytest.raises(RuntimeError, match="numbered folds"):
        SOARSFineTuneTrainer(plans, CONFIGURATION, "all", read_json(folder / "dataset.json"), torch.device("cpu"))
