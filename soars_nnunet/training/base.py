"""What all SOARS trainers share: P-HNN, regime from the plans, loss, augmentation, guarded start.

Hyper-parameters are plans values (``configuration["soars"]``, written by ``soars-plan`` from
``plans/regimes.json``); a stock nnU-Net plan gets the paper's regime and genotype.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn
from torch._dynamo import OptimizedModule

from soars_nnunet.cascade.plain_pickles import require_plain_pickles
from soars_nnunet.cascade.plans_file import PlansFile, settings_of
from soars_nnunet.networks.genotype import NUM_BLOCKS, published_genotype
from soars_nnunet.networks.phnn import HEATMAP_BACKGROUND, PHNN
from soars_nnunet.networks.supernet import SuperPHNN
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.final_weights import save_whole
from soars_nnunet.training.first_weights import describe_first_weights, read_first_weights
from soars_nnunet.training.losses import DiceCELoss, HeatmapL2Loss
from soars_nnunet.training.not_annotated import load_not_annotated, mask_summary, not_annotated_mask, on_both_sides
from soars_nnunet.training.optimizer import make_optimizer
from soars_nnunet.training.refusal import refused, require_fold, require_source_as_stratified
from soars_nnunet.training.stopping import end_quietly_when_told
from soars_nnunet.training.transforms import patch_transforms, rotation_range

STOCK_FEATURES = (32, 64, 128, 256)
"""Channels of each block under stock plans, as in regime ``paper``."""

STOCK_PLANS = (
    "Plans of another planner, so not the paper's regime: spacing, patch, batch size, intensities and iterations are "
    "nnU-Net's. Of it are epochs, optimiser, learning rate, augmentation, loss; and the published {branch} genotype."
)
"""Said where a trainer runs on plans of another planner."""

COUNTS = ("tp_hard", "fp_hard", "fn_hard")
"""nnU-Net's counts of a validation step, each by class without background."""


class SOARSTrainer(nnUNetTrainer):
    """nnU-Net trainer of one cascade branch; leaves name the branch and override at most a few hooks.

    Works on plans from ``soars-plan`` and on stock nnU-Net plans. Resume, validation, ``--npz`` and
    ``nnUNetv2_predict`` are nnU-Net's own.
    """

    branch = "anchor"
    network_class: type[PHNN] | type[SuperPHNN] = PHNN

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 - nnU-Net's signature, inspected by name
    ) -> None:
        settings = settings_of(PlansFile(plans).named(configuration))
        # paths of patients' files must not travel with a checkpoint
        dataset_json = {key: value for key, value in dataset_json.items() if key != "dataset"}
        if settings is not None:
            dataset_json["channel_names"] = settings.channel_names
        super().__init__(plans, configuration, fold, dataset_json, device)
        if settings is None:
            settings = load_regime("paper", self.branch)
            self.print_to_log_file(STOCK_PLANS.format(branch=self.branch))
        self.settings: BranchSettings = settings
        self.initial_lr = settings.initial_lr
        self.weight_decay = settings.weight_decay
        self.num_epochs = settings.num_epochs
        if settings.iterations_per_epoch:
            self.num_iterations_per_epoch = settings.iterations_per_epoch
        self.num_val_iterations_per_epoch = settings.val_iterations_per_epoch
        self.oversample_foreground_percent = settings.organ_centred_patches
        self.probabilistic_oversampling = True
        self.save_every = settings.save_every

    def initialize(self) -> None:
        """Seed, where the plans name a seed, then nnU-Net's initialisation, and first weights of a bundle, if planned.

        On CPU with channels-last kernels, and with ``OMP_NUM_THREADS`` threads where that is set.

        Raises:
            MissingArtifactError: If planned first weights are not there, or a preprocessed case holds anything that
                unpickling it would run.
        """
        require_plain_pickles(Path(self.preprocessed_dataset_folder))
        if self.settings.seed is not None and not self.was_initialized:
            torch.manual_seed(self.settings.seed + self._fold_number)
            np.random.seed(self.settings.seed + self._fold_number)
        super().initialize()
        self._take_first_weights()
        if self.device.type == "cpu":
            if threads := os.environ.get("OMP_NUM_THREADS"):
                # nnU-Net takes every core whatever the user says; trainings side by side then stall one another
                torch.set_num_threads(int(threads))
            # a training step takes 0.8 to 0.95 of the time (scripts/benchmarks/training.py)
            self.network.to(memory_format=torch.channels_last_3d)

    has_checkpoint = False

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        """nnU-Net's; what goes on or is only validated needs no first weights."""
        self.has_checkpoint = True
        super().load_checkpoint(filename_or_checkpoint)

    def _take_first_weights(self) -> None:
        """Weights of the bundle that the plans start from, for a training that begins; none for a search."""
        start = self.settings.start
        if start is None or self.has_checkpoint or self.network_class is not PHNN:
            return
        folder = Path(self.preprocessed_dataset_folder_base)
        self._bare_network().load_state_dict(read_first_weights(folder, start, self._fold_number))
        self.print_to_log_file(describe_first_weights(start, self._fold_number))

    def _bare_network(self) -> Any:
        """The network without wrappers of DDP and torch.compile."""
        network = self.network.module if self.is_ddp else self.network
        if isinstance(network, OptimizedModule):
            network = network._orig_mod
        return network

    @property
    def _fold_number(self) -> int:
        return self.fold if isinstance(self.fold, int) else 0

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """P-HNN as the plans describe it, or with the branch's published genotype under stock plans."""
        network = cls.network_class(
            input_channels=num_input_channels,
            num_classes=num_output_channels,
            deep_supervision=enable_deep_supervision,
            **cls.architecture(configuration_manager),
        )
        network.apply(network.initialize)
        return network

    @classmethod
    def architecture(cls, configuration_manager: ConfigurationManager) -> dict[str, Any]:
        """P-HNN's arguments in the plans, or the paper's with the branch's published genotype under stock plans."""
        if configuration_manager.network_arch_class_name.endswith("PHNN"):
            return dict(configuration_manager.network_arch_init_kwargs)
        return {
            "genotype": published_genotype(cls.branch),
            "features_per_stage": STOCK_FEATURES,
            "strides": [list(stride) for stride in configuration_manager.pool_op_kernel_sizes[:NUM_BLOCKS]],
            "constant_background": HEATMAP_BACKGROUND if cls.branch == "detection" else None,
        }

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Switch the side outputs on or off, through DDP and torch.compile wrappers."""
        self._bare_network().deep_supervision = enabled

    def _get_deep_supervision_scales(self) -> list[list[int]] | None:
        return [[1, 1, 1]] * NUM_BLOCKS if self.enable_deep_supervision else None

    def _branch_loss(self) -> DiceCELoss | HeatmapL2Loss:
        return DiceCELoss(
            weight_dice=self.settings.dice_weight,
            weight_ce=self.settings.ce_weight,
            include_background=self.settings.dice_background,
            include_absent=self.settings.dice_absent_classes,
        )

    def _build_loss(self) -> nn.Module:
        loss = self.criterion = self._branch_loss()
        if not self.enable_deep_supervision:
            return loss
        weights = np.array(self.settings.side_output_weights)
        return DeepSupervisionWrapper(loss, tuple(weights / weights.sum()))

    @cached_property
    def not_annotated(self) -> dict[str, tuple[int, ...]]:
        """Labels that are not annotated, by case; empty where every class is annotated or absent."""
        return load_not_annotated(Path(self.preprocessed_dataset_folder_base), self.dataset_json["labels"])

    @cached_property
    def not_annotated_in_patches(self) -> dict[str, tuple[int, ...]]:
        """The same for training patches, which may be mirrored."""
        if not self.settings.p_mirror:  # then the plans need not know both sides
            return self.not_annotated
        return on_both_sides(self.not_annotated, self.settings.mirror.known_classes)

    def mark_not_annotated(self, batch: dict, not_annotated: dict[str, tuple[int, ...]]) -> None:
        """Tell the loss which classes of a batch are not annotated."""
        self.criterion.not_annotated = None
        if not not_annotated:
            return
        num_classes = 1 + len(self.label_manager.foreground_labels)
        cases = [str(case) for case in batch["keys"]]
        self.criterion.not_annotated = not_annotated_mask(cases, not_annotated, num_classes, self.device)

    steps_of_epoch = 0

    def on_train_epoch_start(self) -> None:
        """nnU-Net's start of an epoch."""
        super().on_train_epoch_start()
        self.steps_of_epoch = 0

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step; classes that are not annotated in a case may be predicted there or not.

        With ``lr_decays_by_step`` the learning rate follows nnU-Net's polynomial from step to step, not from epoch to
        epoch: of few epochs the last one would still have a tenth or more of the first one's rate, and end with
        unsettled weights.
        """
        if self.settings.lr_decays_by_step and self.lr_scheduler is not None:
            self.lr_scheduler.step(self.current_epoch + self.steps_of_epoch / self.num_iterations_per_epoch)
            self.steps_of_epoch += 1
        self.mark_not_annotated(batch, self.not_annotated_in_patches)
        return super().train_step(batch)

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's step; what is not annotated in a case counts nothing there; such batches go case by case."""
        self.mark_not_annotated(batch, self.not_annotated)
        if self.criterion.not_annotated is None:
            return super().validation_step(batch)
        results = [self._validate_one(batch, row) for row in range(len(batch["keys"]))]
        total = {"loss": np.asarray(np.mean([result["loss"] for result in results]))}  # as nnU-Net's: ranks are stacked
        for count in COUNTS:
            total[count] = sum(result[count] for result in results)
        return total

    def _validate_one(self, batch: dict, row: int) -> dict:
        part = slice(row, row + 1)
        if isinstance(batch["target"], list):
            target = [scale[part] for scale in batch["target"]]
        else:
            target = batch["target"][part]
        one = {"data": batch["data"][part], "target": target, "keys": batch["keys"][part]}
        self.mark_not_annotated(one, self.not_annotated)
        result = super().validation_step(one)
        if self.criterion.not_annotated is not None:
            known = ~self.criterion.not_annotated[0, 1:].cpu().numpy()
            for count in COUNTS:
                result[count] = result[count] * known
        return result

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's cases of the fold, which has to be one of the split that the plans were made for."""
        self._require_data()
        return super().do_split()

    def _require_data(self) -> None:
        with refused():
            require_fold(self._split_folder(), self.fold, self.settings.split_sha256 or "")
            require_source_as_stratified(self.dataset_json)

    def _split_folder(self) -> Path:
        """Preprocessed dataset whose split is trained on."""
        return Path(self.preprocessed_dataset_folder_base)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """The regime's optimiser, RAdam in the paper (sec. 4.2), with nnU-Net's polynomial decay (ours)."""
        optimizer = make_optimizer(self.settings, list(self.network.parameters()), self.initial_lr)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 - nnU-Net's name
        """Regime's rotation and scaling; none of nnU-Net's mirroring, which flips without swapping left and right."""
        rotation = rotation_range(self.settings) if self.settings.p_rotation else (0.0, 0.0)
        largest = max(self.settings.scaling) if self.settings.p_scaling else 1.0
        # larger scales sample from a wider region (batchgeneratorsv2), so the crop grows with the maximum
        scales = (1 / max(largest, 1.0), 1.0)
        patch = get_patch_size(self.configuration_manager.patch_size, rotation, rotation, rotation, scales)
        self.inference_allowed_mirroring_axes = None
        return rotation, False, patch, None

    def get_training_transforms(
        self,
        patch_size: Any,
        rotation_for_DA: Any,
        deep_supervision_scales: Any,
        *args: Any,
        **kwargs: Any,  # noqa: N803
    ) -> BasicTransform:
        """Augmentation of the regime: spatial, intensities, guidance, sides."""
        return patch_transforms(tuple(patch_size), deep_supervision_scales, self.settings, self.carries_coordinates)

    def get_validation_transforms(self, deep_supervision_scales: Any, *args: Any, **kwargs: Any) -> BasicTransform:
        """No augmentation."""
        patch_size = tuple(self.configuration_manager.patch_size)
        return patch_transforms(patch_size, deep_supervision_scales, None, self.carries_coordinates)

    carries_coordinates = False
    trained_in_this_run = False

    def on_train_end(self) -> None:
        """nnU-Net's end of training."""
        super().on_train_end()
        self.trained_in_this_run = True

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's, whole or not at all; the cascade's manifest gets the hash of the final one."""
        if self.local_rank != 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
        else:
            save_whole(super().save_checkpoint, Path(filename), self.fold, self.print_to_log_file)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """nnU-Net's validation of whole volumes; ``final_validation`` false leaves it to ``--val`` and ``--npz``."""
        if self.trained_in_this_run and not self.settings.final_validation and not save_probabilities:
            self.print_to_log_file("The plans leave out the final validation; run it with: nnUNetv2_train ... --val")
            return
        super().perform_actual_validation(save_probabilities)
        summary = Path(self.output_folder) / "validation" / "summary.json"
        if self.not_annotated and self.local_rank == 0 and summary.is_file():
            masked = mask_summary(summary, self.not_annotated, self.dataset_json["file_ending"])
            dice = masked["foreground_mean"]["Dice"]
            self.print_to_log_file("Without classes that nobody drew in a case: Mean Validation Dice: ", dice)

    def _design(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """What all folds of this trainer's model have in common."""
        return design(configuration)

    def on_train_start(self) -> None:
        """Refuse to mix two designs in one model folder, then start as nnU-Net does.

        Raises:
            RuntimeError: If the folder's ``plans.json`` differs in architecture or regime.
        """
        self._require_data()
        self._require_own_folder()
        end_quietly_when_told()
        super().on_train_start()

    def _require_own_folder(self) -> None:
        existing = Path(self.output_folder_base) / "plans.json"
        checkpoints = Path(self.output_folder_base).glob("fold_*/checkpoint_*.pth")
        if not existing.is_file() or not any(checkpoints):
            return
        theirs = self._design(PlansFile.read(existing).named(self.configuration_name))
        ours = self._design(self.configuration_manager.configuration)
        differing = [key for key in ours if theirs[key] != ours[key]]
        if differing:
            raise RuntimeError(
                f"{self.output_folder_base} holds models of other plans (different: {', '.join(differing)}); "
                "give the new plans a name of their own (soars-plan --plans-name) or move the folder away"
            )


def design(configuration: dict[str, Any]) -> dict[str, Any]:
    """What all folds of a model have in common; values of the search and of prediction are not part of a model.

    Args:
        configuration: Of the plans JSON.
    """
    settings = settings_of(configuration)
    values: dict[str, Any] = {}
    if settings is not None:
        values = settings.to_json()
    for key in list(values):
        if key in APART or key.startswith("search_"):
            del values[key]
    return {
        "architecture": configuration.get("architecture"),
        "patch_size": configuration.get("patch_size"),
        "spacing": configuration.get("spacing"),
        "soars": values,
    }


APART = ("step_size", "reach", "sides")
"""Settings of prediction."""
