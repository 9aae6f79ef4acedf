"""Voxels labelled ignore, from the source dataset through stratification, plans and nnU-Net's loader to the loss."""

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from planning.cases import options, set_environment, trainer_of

from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.phantom.dataset import write_phantom_dataset
from soars_nnunet.planning.plan import plan
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify

IGNORE = 50


@pytest.fixture
def ignoring(tmp_path, monkeypatch):
    """Planned anchors of four phantoms; in three, nobody judged some slices."""
    set_environment(tmp_path, monkeypatch)
    folder = tmp_path / "nnUNet_raw" / "Dataset042_Neck"
    write_phantom_dataset(folder, num_training=4, num_test=0, shape=(32, 28, 28), spacing_mm=(9.0, 9.0, 9.0))
    for path in sorted((folder / "labelsTr").iterdir())[:3]:
        image = sitk.ReadImage(str(path))
        labels = sitk.GetArrayFromImage(image)
        labels[4:9] = IGNORE
        changed = sitk.GetImageFromArray(labels)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(path))
    data = read_json(folder / "dataset.json")
    write_json(folder / "dataset.json", {**data, "labels": {**data["labels"], "ignore": IGNORE}})
    cascade = stratify(42, load_profile("hn42"), StratifyOptions(num_folds=2)).cascade
    plan(cascade, options(), ["anchor"])
    return SimpleNamespace(cascade=cascade)


def test_ignored_voxels_teach_nothing_and_the_others_do(ignoring):
    trainer = trainer_of(ignoring)
    trainer.initialize()
    trainer.on_train_start()
    classes = trainer.label_manager.num_segmentation_heads
    assert trainer.label_manager.ignore_label == classes == len(trainer.dataset_json["labels"]) - 1
    for _ in range(12):
        batch = next(trainer.dataloader_train)
        target = batch["target"][0]
        ignored = target[:, 0] == classes
        if ignored.any() and not ignored.all():
            break
    assert ignored.any() and not ignored.all()
    logits = torch.randn(len(target), classes, *target.shape[2:], requires_grad=True)
    trainer.mark_not_annotated(batch, trainer.not_annotated)
    trainer.criterion(logits, target).backward()
    gradient = logits.grad.abs().sum(1)
    assert not gradient[ignored].any() and (gradient[~ignored] > 0).float().mean() > 0.9
    assert np.isfinite(trainer.train_step(batch)["loss"])
    done = trainer.validation_step(next(trainer.dataloader_val))
    assert np.isfinite(done["loss"]) and len(done["tp_hard"]) == classes - 1
