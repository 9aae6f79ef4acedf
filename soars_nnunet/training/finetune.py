"""End-to-end fine-tuning of a trained cascade (paper sec. 4.2, step 3), on the source dataset itself.

The branches of one fold are joined into one graph (``networks/cascade.py``) and trained together for
a few epochs; then each branch's weights go back into a model folder of its own, under the plans name
of the fine-tuning. Anchors guide the others in-sample here: their own fold trained on these cases.

``soars-plan --fine-tune NAME`` writes the plans; ``soars.cascade`` in them says which models are joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
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
from soars_nnunet.geometry.voi import crop_box
from soars_nnunet.networks.cascade import CascadeNetwork, Vois
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.training.base import SOARSTrainer, make_optimizer
from soars_nnunet.training.detection import CoordinateDataset, HeatmapChannelsLoss
from soars_nnunet.training.losses import DiceCELoss
from soars_nnunet.training.not_annotated import ByCase, load_undrawn, undrawn_mask
from soars_nnunet.training.transforms import NUM_COORDINATE_CHANNELS


class CascadeLoss(nn.Module):
    """Sum of the branches' own losses, each the weighted mean over its four supervised sums; equal branches are ours.

    Args:
        losses: By branch.
        weights: Of its four sums, by branch.
    """

    def __init__(
        self, losses: Mapping[str, DiceCELoss | HeatmapChannelsLoss], weights: Mapping[str, Sequence[float]]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(losses)
        self.weights = {key: np.asarray(own) / np.sum(own) for key, own in weights.items()}

    def forward(self, outputs: Mapping[str, Sequence[torch.Tensor]], targets: Sequence[torch.Tensor]) -> torch.Tensor:
        """Loss of the outputs by branch against one target a branch, in the same order."""
        total = torch.zeros((), device=targets[0].device)
        for (key, sums), target in zip(outputs.items(), targets, strict=True):
            for weight, output in zip(self.weights[key].tolist(), sums, strict=True):
                total = total + weight * self.branches[key](output, target)
        return total


class CropGeometry:
    """A preprocessed VOI crop in the frame of its case's network grid.

    Attributes:
        start: (3,), network voxel (Z, Y, X) of the crop's voxel 0.
        step: (3,), network voxels per crop voxel.
        shape: (z, y, x) of the crop.
    """

    def __init__(self, crop: dict[str, Any], shape: Sequence[int], case: dict[str, Any], grid: Grid) -> None:
        own, stuff, crop_stuff = Grid.from_properties(crop, shape), case["sitk_stuff"], crop["sitk_stuff"]
        moved = np.subtract(crop_stuff["origin"], stuff["origin"]) @ np.reshape(stuff["direction"], (3, 3))
        offset = (moved / np.asarray(stuff["spacing"]))[::-1]
        ends = [grid.to_network(own.to_image(corner) + offset) for corner in (np.zeros(3), np.ones(3))]
        self.start, self.step, self.shape = ends[0], ends[1] - ends[0], tuple(shape)

    @property
    def center(self) -> np.ndarray:
        """(3,), network voxel of the crop's middle."""
        return self.start + self.step * (np.array(self.shape) - 1) / 2


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
        losses: dict[str, DiceCELoss | HeatmapChannelsLoss] = {}
        for key, branch in self.joined.items():
            own = branch.loss
            losses[key] = (
                HeatmapChannelsLoss(own.heatmap_foreground_weight)
                if key == "detection"
                else DiceCELoss(
                    own.dice_weight,
                    own.ce_weight,
                    own.dice_background,
                    include_absent=own.dice_absent_classes,
                )
            )
        self.criterion = None  # of a single branch; there is none
        weights = {key: branch.loss.side_output_weights for key, branch in self.joined.items()}
        return CascadeLoss(losses, weights)

    def do_split(self) -> tuple[list[str], list[str]]:
        """The cascade's own split: validation cases are new to all branches of the fold."""
        split = self.cascade.splits()[self.fold]
        return split["train"], split["val"]

    def get_tr_and_val_datasets(self) -> tuple[CoordinateDataset, CoordinateDataset]:
        """nnU-Net's datasets with coordinates; also reads every case's target centres and crops."""
        spacing_mm = np.asarray(self.configuration_manager.spacing)
        datasets = [CoordinateDataset(dataset, spacing_mm) for dataset in super().get_tr_and_val_datasets()]
        for dataset in datasets:
            for case in set(dataset.identifiers) - set(self.grids):
                _, segmentation, _, properties = dataset.load_case(case)
                labels = np.asarray(segmentation[0])
                self.centers_mm[case] = organ_centers_mm(labels.astype(np.int32), self._target_labels, spacing_mm)
                self.grids[case] = properties, Grid.from_properties(properties, labels.shape)
        return datasets[0], datasets[1]

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
        classes = self.joined["detection"].classes if "detection" in self.joined else []
        return [[self.cascade.labels[organ] for organ in organs] for _, organs in classes]

    @cached_property
    def lookups(self) -> dict[str, torch.Tensor]:
        """Label of a segmenting branch by label of the source dataset; 0 for organs of other branches."""
        tables = {}
        for key in ("anchor", "mid_level"):
            # the last entry stands for whatever lies above the organs' labels, such as nnU-Net's ignore label
            table = torch.zeros(max(self.cascade.labels.values()) + 2, dtype=torch.long)
            for value, (_, organs) in enumerate(self.joined[key].classes if key in self.joined else (), 1):
                table[[self.cascade.labels[organ] for organ in organs]] = value
            tables[key] = table.to(self.device)
        return tables

    @cached_property
    def undrawn_by_branch(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Labels of each branch that nobody drew, by case (small & hard: by crop)."""
        return {
            key: load_undrawn(
                self.cascade.preprocessed(key), {name: i for i, (name, _) in enumerate(branch.classes, 1)}
            )
            for key, branch in self.joined.items()
        }

    @cached_property
    def crops(self) -> dict[str, list[tuple[str, CropGeometry]]]:
        """Crops by case: where a VOI was predicted, out of fold."""
        if "small_hard" not in self.joined:
            return ByCase()
        split = self.cascade.splits("small_hard")[self.fold]
        names = {*split["train"], *split["val"]}
        found: dict[str, list[tuple[str, CropGeometry]]] = ByCase()
        for case, (properties, grid) in self.grids.items():
            for target, _ in self.joined["detection"].classes:
                crop = crop_case(case, target)
                if crop in names:
                    data, _, _, own = self._load_crop(crop)
                    found.setdefault(case, []).append((crop, CropGeometry(own, data.shape[1:], properties, grid)))
        return found

    def _load_crop(self, crop: str) -> tuple:
        """nnU-Net's ``load_case`` of a preprocessed crop."""
        folder = self.cascade.data("small_hard", self.joined["small_hard"].plans)
        return nnUNetDatasetBlosc2(str(folder), [crop]).load_case(crop)

    def _prepared(self, batch: dict) -> dict:
        """Targets of all branches, and the VOIs handed to the network."""
        data = batch["data"].to(self.device, non_blocking=True)
        image, coordinates, ones = data.split([data.shape[1] - NUM_COORDINATE_CHANNELS, 3, 1], dim=1)
        positions_mm, inside = coordinates / ones.clamp(min=1e-3), ones > 0.5
        labels = batch["target"][0].to(self.device, non_blocking=True).long()
        cases = [str(case) for case in batch["keys"]]
        targets = {k: table[labels.clamp(0, len(table) - 1)] for k, table in self.lookups.items() if k in self.joined}
        names = dict.fromkeys(targets, cases)
        if "detection" in self.joined:
            centers = torch.from_numpy(np.stack([self.centers_mm[case] for case in cases])).to(positions_mm)
            heatmaps = gaussian_heatmaps(positions_mm, centers, self.joined["detection"].loss.sigma_mm)
            targets["detection"], names["detection"] = heatmaps * inside, cases
            self.network.vois, crops, segmentation = self._vois(cases, positions_mm, inside)
            if segmentation is not None:
                targets["small_hard"], names["small_hard"] = segmentation, crops
        for key in targets:
            num_classes = 1 + len(self.joined[key].classes)
            self.loss.branches[key].undrawn = undrawn_mask(
                names[key], self.undrawn_by_branch[key], num_classes, self.device
            )
        return {**batch, "data": image.contiguous(), "target": list(targets.values())}

    def _vois(
        self, cases: Sequence[str], positions_mm: torch.Tensor, inside: torch.Tensor
    ) -> tuple[Vois | None, list[str], torch.Tensor | None]:
        """Some of the VOIs whose middle lies in the patches, the crops' names and their labels (V, 1, z, y, x)."""
        spacing = np.asarray(self.configuration_manager.spacing)
        patch, size = np.array(positions_mm.shape[2:]), self.joined["small_hard"].patch_size
        chosen: list[tuple[int, str, CropGeometry, np.ndarray]] = []
        for row, case in enumerate(cases):
            z, y, x = inside[row, 0].nonzero()[0].tolist()
            origin = positions_mm[row, :, z, y, x].cpu().numpy() / spacing - np.array([z, y, x])
            within = [
                (row, crop, geometry, origin)
                for crop, geometry in self.crops.get(case, ())
                if ((geometry.center - origin >= 0) & (geometry.center - origin <= patch - 1)).all()
            ]
            order = np.random.permutation(len(within))[: self.settings.vois_per_patch]
            chosen += [within[index] for index in order]
        if not chosen:
            return None, [], None
        arrays = [self._crop_arrays(crop, geometry, origin, size) for _, crop, geometry, origin in chosen]
        ct, segmentation, points = (torch.stack(parts).to(self.device) for parts in zip(*arrays, strict=True))
        return Vois(ct, [row for row, *_ in chosen], points), [crop for _, crop, *_ in chosen], segmentation

    def _crop_arrays(
        self, crop: str, geometry: CropGeometry, origin: np.ndarray, size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """CT (1, z, y, x), labels (1, z, y, x) and patch voxels (3, max(size)) of a random window of a crop."""
        data, segmentation, *_ = self._load_crop(crop)
        spare = [have - want for have, want in zip(geometry.shape, size, strict=True)]
        low = [int(np.random.randint(0, n + 1)) if n > 0 else n // 2 for n in spare]
        window = tuple((lo, lo + want) for lo, want in zip(low, size, strict=True))
        ct, labels = (crop_box(array[:1], window, 0) for array in (data, segmentation))
        points = np.full((3, max(size)), np.nan, np.float32)
        for axis, (lo, want) in enumerate(zip(low, size, strict=True)):
            points[axis, :want] = geometry.start[axis] + geometry.step[axis] * (lo + np.arange(want)) - origin[axis]
        return torch.from_numpy(ct), torch.from_numpy(labels.clip(0).astype(np.int64)), torch.from_numpy(points)

    def mark_undrawn(self, batch: dict, undrawn: dict[str, tuple[int, ...]]) -> None:
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
        counts: dict[str, list[torch.Tensor]] = {"tp_hard": [], "fp_hard": [], "fn_hard": []}
        for (key, sums), target in zip(outputs.items(), batch["target"], strict=True):
            if key in ("anchor", "mid_level"):
                found = sums[0].argmax(1, keepdim=True)
                undrawn = self.loss.branches[key].undrawn
                for value in range(1, sums[0].shape[1]):
                    mask, truth = found == value, target == value
                    if undrawn is not None:
                        known = ~undrawn[:, value, None, None, None, None]
                        mask, truth = mask & known, truth & known
                    parts = (mask & truth, mask & ~truth, ~mask & truth)
                    for name, part in zip(counts, parts, strict=True):
                        counts[name].append(part.sum())
        return {
            "loss": loss.detach().cpu().numpy(),
            **{name: torch.stack(values).cpu().numpy() for name, values in counts.items()},
        }

    def on_train_end(self) -> None:
        """nnU-Net's end of training; then every branch gets a model folder under the name of these plans."""
        super().on_train_end()
        name = self.plans_manager.plans_name
        for key, network in self.network.branches.items():
            source = self.cascade.model(key, self.joined[key].plans)
            target = self.cascade.model(key, name)
            plans = {**read_json(source / "plans.json"), "plans_name": name}
            write_json(target / "plans.json", plans)
            write_json(target / "dataset.json", read_json(source / "dataset.json"))
            checkpoint = load_checkpoint(source / f"fold_{self.fold}" / CHECKPOINT)
            checkpoint["network_weights"] = {k: v.detach().cpu() for k, v in network.state_dict().items()}
            checkpoint["init_args"] = {**checkpoint["init_args"], "plans": plans}
            with replacing(target / f"fold_{self.fold}" / CHECKPOINT) as temporary:
                torch.save(checkpoint, temporary)
        trained = ", ".join(BRANCHES[key].suffix for key in self.network.trained)
        self.print_to_log_file(f"Fine-tuned {trained}; next: soars-cascade-predict -d DATASET --plans-name {name}")

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """The cascade is validated as a whole, by the command that predicts with it."""
        name = self.plans_manager.plans_name
        self.print_to_log_file(
            f"Validate with: soars-cross-validate -d DATASET --plans-name {name} --folds {self.fold}"
        )
