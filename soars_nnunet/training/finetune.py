"""End-to-end fine-tuning of a trained cascade (paper sec. 4.2, step 3), on the source dataset itself.

The branches of one fold are joined into one graph (``networks/cascade.py``) and trained together for
a few epochs; then each branch's weights go back into a model folder of its own, under the plans name
of the fine-tuning. Anchors guide the others in-sample here: their own fold trained on these cases.

``soars-plan --fine-tune NAME`` writes the plans; ``soars.cascade`` in them says which models are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.case_names import crop_case
from soars_nnunet.cascade.record import CHECKPOINT, Cascade
from soars_nnunet.cascade.storage import read_json, replacing, write_json
from soars_nnunet.cascade.trained import require_same_grid
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.heatmaps import gaussian_heatmaps
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.networks.cascade import CascadeNetwork, Vois
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.training.base import COUNTS, SOARSTrainer
from soars_nnunet.training.cascade_loss import CascadeLoss, branch_losses
from soars_nnunet.training.detection import CoordinateDataset, LocatedPatch, split_coordinates
from soars_nnunet.training.final_weights import record_final
from soars_nnunet.training.not_annotated import ByCase, load_not_annotated, not_annotated_mask
from soars_nnunet.training.optimizer import make_optimizer
from soars_nnunet.training.voi_crops import CropGeometry, CropInPatch, cut_window, random_window

SEGMENTING = ("anchor", "mid_level")
"""Branches that label the whole CT."""


@dataclass(frozen=True)
class PatchVois:
    """VOIs of a batch.

    Attributes:
        inputs: What the network takes of them.
        crops: Case name of each.
        labels: (V, 1, z, y, x).
    """

    inputs: Vois
    crops: list[str]
    labels: torch.Tensor


class SOARSFineTuneTrainer(SOARSTrainer):
    """All branches of a fold in one graph."""

    branch = "fine_tune"
    carries_coordinates = True

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 - nnU-Net's signature, inspected by name
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.settings.cascade is None:
            raise RuntimeError("expected plans of soars-plan --fine-tune NAME; run it, then train with -p NAME")
        if self.is_ddp or not isinstance(fold, int):
            raise RuntimeError(f"fine-tuning runs on one GPU and numbered folds, got fold {fold}")
        self.joined = self.settings.cascade

    @cached_property
    def cascade(self) -> Cascade:
        """Record of the stratified dataset."""
        return Cascade.load(self.plans_manager.dataset_name)

    def _do_i_compile(self) -> bool:
        return False

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The joined P-HNNs; their channels and classes are those of their own plans."""
        return CascadeNetwork(**configuration_manager.network_arch_init_kwargs)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Every branch keeps its four sums: nothing but training runs in this graph."""

    def initialize(self) -> None:
        """nnU-Net's initialisation, then the fold's trained weights of every branch."""
        super().initialize()
        for key, network in self.network.branches.items():
            require_same_grid(self.cascade, key, self.joined[key].plans)  # crops are read as they are now
            folder = self.cascade.model(key, self.joined[key].plans) / f"fold_{self.fold}"
            network.load_state_dict(load_checkpoint(folder / CHECKPOINT)["network_weights"])

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """The regime's optimiser over the weights that move."""
        moved = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimizer = make_optimizer(self.settings, moved, self.initial_lr)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def _build_loss(self) -> CascadeLoss:
        weights = {key: branch.loss.side_output_weights for key, branch in self.joined.items()}
        return CascadeLoss(branch_losses(self.joined), weights)

    def do_split(self) -> tuple[list[str], list[str]]:
        """The cascade's own split: validation cases are new to all branches of the fold."""
        self._require_data()
        split = self.cascade.splits()[self.fold]
        return split["train"], split["val"]

    def _split_folder(self) -> Path:
        return self.cascade.preprocessed("anchor")

    def get_tr_and_val_datasets(self) -> tuple[CoordinateDataset, CoordinateDataset]:
        """nnU-Net's datasets with coordinates; also reads every case's target centres and crops."""
        spacing_mm = np.asarray(self.configuration_manager.spacing)
        training, validation = super().get_tr_and_val_datasets()
        datasets = CoordinateDataset(training, spacing_mm), CoordinateDataset(validation, spacing_mm)
        for dataset in datasets:
            self._read_cases(dataset)
        return datasets

    def _read_cases(self, dataset: CoordinateDataset) -> None:
        spacing_mm = self.configuration_manager.spacing
        for case in set(dataset.identifiers) - set(self.grids):
            _, segmentation, _, properties = dataset.load_case(case)
            labels = np.asarray(segmentation[0])
            self.centers_mm[case] = organ_centers_mm(labels.astype(np.int32), self._target_labels, spacing_mm)
            self.grids[case] = properties, Grid.from_properties(properties, labels.shape)

    @cached_property
    def centers_mm(self) -> dict[str, np.ndarray]:
        """Target centres (T, 3) of every case that was loaded, mm of the network grid."""
        return ByCase()

    @cached_property
    def grids(self) -> dict[str, tuple[dict[str, Any], Grid]]:
        """nnU-Net's properties and the network grid of every case that was loaded."""
        return ByCase()

    @cached_property
    def _target_labels(self) -> list[list[int]]:
        if "detection" not in self.joined:
            return []
        targets = []
        for _, organs in self.joined["detection"].classes:
            targets.append([self.cascade.labels[organ] for organ in organs])
        return targets

    @cached_property
    def lookups(self) -> dict[str, torch.Tensor]:
        """Label of a segmenting branch by label of the source dataset; 0 for organs of other branches."""
        # the last entry stands for whatever lies above the organs' labels, such as nnU-Net's ignore label
        length = max(self.cascade.labels.values()) + 2
        tables = {}
        for key in SEGMENTING:
            if key not in self.joined:
                continue
            table = torch.zeros(length, dtype=torch.long)
            for value, (_, organs) in enumerate(self.joined[key].classes, 1):
                table[[self.cascade.labels[organ] for organ in organs]] = value
            tables[key] = table.to(self.device)
        return tables

    @cached_property
    def not_annotated_by_branch(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Labels of each branch that nobody drew, by case (small & hard: by crop)."""
        by_branch: dict[str, dict[str, tuple[int, ...]]] = {}
        for key, branch in self.joined.items():
            labels = {name: value for value, (name, _) in enumerate(branch.classes, 1)}
            by_branch[key] = load_not_annotated(self.cascade.preprocessed(key), labels)
        return by_branch

    @cached_property
    def crops(self) -> dict[str, list[tuple[str, CropGeometry]]]:
        """Crops by case: where a VOI was predicted, out of fold."""
        if "small_hard" not in self.joined:
            return ByCase()
        split = self.cascade.splits("small_hard")[self.fold]
        names = set(split["train"]).union(split["val"])
        found: ByCase[list[tuple[str, CropGeometry]]] = ByCase()
        for case, (properties, grid) in self.grids.items():
            for target, _ in self.joined["detection"].classes:
                crop = crop_case(case, target)
                if crop not in names:
                    continue
                data, _, _, own = self._load_crop(crop)
                geometry = CropGeometry(own, data.shape[1:], properties, grid)
                found.setdefault(case, []).append((crop, geometry))
        return found

    def _load_crop(self, crop: str) -> tuple:
        """nnU-Net's ``load_case`` of a preprocessed crop."""
        folder = self.cascade.data("small_hard", self.joined["small_hard"].plans)
        return nnUNetDatasetBlosc2(str(folder), [crop]).load_case(crop)

    def _prepared(self, batch: dict) -> dict:
        """Targets of all branches, and the VOIs handed to the network."""
        patch = split_coordinates(batch["data"].to(self.device, non_blocking=True))
        labels = batch["target"][0].to(self.device, non_blocking=True).long()
        cases = [str(case) for case in batch["keys"]]
        targets = {}
        names = {}
        for key, table in self.lookups.items():
            targets[key] = table[labels.clamp(0, len(table) - 1)]
            names[key] = cases
        if "detection" in self.joined:
            targets["detection"] = self._heatmaps(cases, patch)
            names["detection"] = cases
            vois = self._vois(cases, patch)
            self.network.vois = None
            if vois is not None:
                self.network.vois = vois.inputs
                targets["small_hard"] = vois.labels
                names["small_hard"] = vois.crops
        for key in targets:
            num_classes = 1 + len(self.joined[key].classes)
            mask = not_annotated_mask(names[key], self.not_annotated_by_branch[key], num_classes, self.device)
            self.loss.branches[key].not_annotated = mask
        return {**batch, "data": patch.images.contiguous(), "target": list(targets.values())}

    def _heatmaps(self, cases: Sequence[str], patch: LocatedPatch) -> torch.Tensor:
        """(B, T, Z, Y, X), 0 outside of the scan."""
        centers = torch.from_numpy(np.stack([self.centers_mm[case] for case in cases]))
        sigma_mm = self.joined["detection"].loss.sigma_mm
        return gaussian_heatmaps(patch.positions_mm, centers.to(patch.positions_mm), sigma_mm) * patch.inside

    def _vois(self, cases: Sequence[str], patch: LocatedPatch) -> PatchVois | None:
        """Some of the VOIs whose middle lies in the patches; None if there are none."""
        chosen = []
        for row, case in enumerate(cases):
            within = self._crops_within(row, case, patch)
            order = np.random.permutation(len(within))[: self.settings.vois_per_patch]
            chosen += [within[index] for index in order]
        if not chosen:
            return None
        size = self.joined["small_hard"].patch_size
        cts, segmentations, points = [], [], []
        for one in chosen:
            ct, labels, at = self._crop_arrays(one.crop, one.geometry, one.origin, size)
            cts.append(ct)
            segmentations.append(labels)
            points.append(at)
        rows = [one.row for one in chosen]
        inputs = Vois(torch.stack(cts).to(self.device), rows, torch.stack(points).to(self.device))
        labels = torch.stack(segmentations).to(self.device)
        return PatchVois(inputs, [one.crop for one in chosen], labels)

    def _crops_within(self, row: int, case: str, patch: LocatedPatch) -> list[CropInPatch]:
        """Crops of a case whose middle lies in its patch."""
        spacing_mm = np.asarray(self.configuration_manager.spacing)
        size = np.array(patch.positions_mm.shape[2:])
        z, y, x = patch.inside[row, 0].nonzero()[0].tolist()
        origin = patch.positions_mm[row, :, z, y, x].cpu().numpy() / spacing_mm - np.array([z, y, x])
        within = []
        for crop, geometry in self.crops.get(case, ()):
            one = CropInPatch(row, crop, geometry, origin)
            if one.is_within(size):
                within.append(one)
        return within

    def _crop_arrays(
        self, crop: str, geometry: CropGeometry, origin: np.ndarray, size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """CT (1, z, y, x), labels (1, z, y, x) and patch voxels (3, max(size)) of a random window of a crop."""
        data, segmentation, _, _ = self._load_crop(crop)
        window = random_window(geometry.shape, size)
        ct, labels = cut_window(data, segmentation, window)
        return ct, labels, torch.from_numpy(geometry.points(window, origin))

    def mark_not_annotated(self, batch: dict, not_annotated: dict[str, tuple[int, ...]]) -> None:
        """``_prepared`` tells each branch's loss."""

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step on all branches at once."""
        return super().train_step(self._prepared(batch))

    def validation_step(self, batch: dict) -> dict:
        """Loss of all branches, and overlap of the anchor and mid-level organs."""
        batch = self._prepared(batch)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            outputs = self.network(batch["data"])
            loss = self.loss(outputs, batch["target"])
        counts: dict[str, list[np.ndarray]] = {count: [] for count in COUNTS}
        for (key, sums), target in zip(outputs.items(), batch["target"], strict=True):
            if key not in SEGMENTING:
                continue
            overlap = count_overlap(sums[0], target, self.loss.branches[key].not_annotated)
            for count in COUNTS:
                counts[count].append(overlap[count])
        result = {"loss": loss.detach().cpu().numpy()}
        for count in COUNTS:
            result[count] = np.concatenate(counts[count])
        return result

    def on_train_end(self) -> None:
        """nnU-Net's end of training; then every branch gets a model folder under the name of these plans."""
        super().on_train_end()
        name = self.plans_manager.plans_name
        for key, network in self.network.branches.items():
            self._write_model(key, network, name)
        trained = ", ".join(BRANCHES[key].suffix for key in self.network.trained)
        self.print_to_log_file(f"Fine-tuned {trained}; next: soars-cascade-predict -d DATASET --plans-name {name}")

    def _write_model(self, key: str, network: nn.Module, name: str) -> None:
        """An ordinary model of a branch: the trained one's plans and checkpoint with the weights of this graph."""
        source = self.cascade.model(key, self.joined[key].plans)
        target = self.cascade.model(key, name)
        plans = {**read_json(source / "plans.json"), "plans_name": name}
        write_json(target / "plans.json", plans)
        write_json(target / "dataset.json", read_json(source / "dataset.json"))
        checkpoint = load_checkpoint(source / f"fold_{self.fold}" / CHECKPOINT)
        checkpoint["network_weights"] = {part: value.detach().cpu() for part, value in network.state_dict().items()}
        checkpoint["init_args"] = {**checkpoint["init_args"], "plans": plans}
        with replacing(target / f"fold_{self.fold}" / CHECKPOINT) as temporary:
            torch.save(checkpoint, temporary)
        record_final(target, self.fold, self.print_to_log_file)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """The cascade is validated as a whole, by the command that predicts with it."""
        name = self.plans_manager.plans_name
        self.print_to_log_file(
            f"Validate with: soars-cross-validate -d DATASET --plans-name {name} --folds {self.fold}"
        )


def count_overlap(
    output: torch.Tensor, target: torch.Tensor, not_annotated: torch.Tensor | None
) -> dict[str, np.ndarray]:
    """nnU-Net's counts of a segmentation, each (C - 1,): by class without background.

    Args:
        output: (B, C, Z, Y, X) logits.
        target: (B, 1, Z, Y, X) labels.
        not_annotated: (B, C) bool, classes that count nothing in a case; None for none.
    """
    counts: dict[str, list[torch.Tensor]] = {count: [] for count in COUNTS}
    found = output.argmax(1, keepdim=True)
    for value in range(1, output.shape[1]):
        mask = found == value
        truth = target == value
        if not_annotated is not None:
            known = ~not_annotated[:, value, None, None, None, None]
            mask = mask & known
            truth = truth & known
        counts["tp_hard"].append((mask & truth).sum())
        counts["fp_hard"].append((mask & ~truth).sum())
        counts["fn_hard"].append((~mask & truth).sum())
    return {count: torch.stack(values).cpu().numpy() for count, values in counts.items()}
