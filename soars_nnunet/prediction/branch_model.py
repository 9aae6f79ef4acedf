"""One trained branch: its plans, its network and one set of weights per fold.

Preprocessing gives what nnU-Net's own gives, on the network's device and several times quicker (``geometry.resample``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, trained_folds
from soars_nnunet.cascade.storage import file_hash, json_hash, read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.geometry.body import BODY_HU, body_hull, grown_box
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.reach import Reach, join_reaches, reached
from soars_nnunet.geometry.resample import nonzero_box, resample
from soars_nnunet.geometry.sides import Sides, join_sides, separate_sides
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.prediction.device_memory import fall_back_to_cpu
from soars_nnunet.prediction.sliding_window import background, sliding_windows, validate_steps
from soars_nnunet.prediction.tiling import DEFAULT_TILING, MAX_TILE_VOXELS, Tiling, large_tiles


class BranchModel:
    """A trained branch of the cascade, ready to run on preprocessed arrays.

    Args:
        folder: nnU-Net model folder with ``plans.json``, ``dataset.json`` and ``fold_*``.
        folds: Folds to average; None for all that have a final checkpoint.
        device: Where the network runs, and where its inputs and results lie unless they do not fit.
        tiling: Where it runs, and on how large tiles.
        mirror: Average with the output for the mirrored input, left and right swapped in channels and classes.

    Raises:
        MissingArtifactError: If the folder, a checkpoint or a fold is missing or unreadable, if the plans are not of
            soars-plan, or if the network cannot be mirrored because it knows only one side of an organ.
    """

    def __init__(
        self,
        folder: Path,
        folds: Sequence[int] | None,
        device: torch.device,
        tiling: Tiling = DEFAULT_TILING,
        mirror: bool = False,
    ) -> None:
        self.tiling = tiling
        self.folder = folder
        available = trained_folds(folder)
        if not available:
            raise MissingArtifactError(
                f"{folder}: expected fold_*/{CHECKPOINT}, found no trained fold; train it or choose another model"
            )
        self.folds = list(folds) if folds is not None else available
        missing = sorted(set(self.folds) - set(available))
        if missing or not self.folds:
            raise MissingArtifactError(
                f"{folder.name}: fold(s) {missing or list(folds or [])} are not trained, only {available}"
            )
        self.dataset_json = read_json(folder / "dataset.json")
        plans = read_json(folder / "plans.json")
        _check_preprocessing(folder, plans)
        self.plans_hash = json_hash(plans)
        self.plans_manager = PlansManager(plans)
        self.configuration = self.plans_manager.get_configuration(CONFIGURATION)
        self.settings: dict[str, Any] = self.configuration.configuration["soars"]
        self.fingerprint = [file_hash(folder / f"fold_{fold}" / CHECKPOINT) for fold in self.folds]
        self.device = self.results = device
        self.steps = self.settings["step_size"] if tiling.step_size is None else [tiling.step_size] * 3
        validate_steps(self.steps)
        self.networks = [self._network(fold) for fold in self.folds]
        self.mirror: dict[str, list[int]] | None = self._mirror_order() if mirror else None

    @property
    def num_outputs(self) -> int:
        """Channels of the network's output: background and organs, or a constant and heat maps."""
        return self.plans_manager.get_label_manager(self.dataset_json).num_segmentation_heads

    def _network(self, fold: int) -> PHNN:
        """A fold's network as it runs fastest; not by the trainer, importing which takes half of a short start."""
        network = PHNN(
            determine_num_input_channels(self.plans_manager, self.configuration, self.dataset_json),
            self.num_outputs,
            **self.configuration.network_arch_init_kwargs,
            deep_supervision=False,
        )
        weights = load_checkpoint(self.folder / f"fold_{fold}" / CHECKPOINT)["network_weights"]
        expected = {key: value.shape for key, value in network.state_dict().items()}
        if {key: value.shape for key, value in weights.items()} != expected:
            raise MissingArtifactError(
                f"{self.folder}/fold_{fold}: expected weights of the network in plans.json, got another network's; "
                "restore the plans.json that the fold was trained with, or retrain the fold"
            )
        network.load_state_dict(weights)
        network.eval().fold_batch_norm()
        network.to(self.device)
        if self.device.type == "cpu":  # takes 0.5 to 0.8 of the time there (scripts/benchmarks/forward.py)
            network.to(memory_format=torch.channels_last_3d)
        return network

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Spacing (Z, Y, X) of the network grid."""
        return tuple(self.configuration.spacing)

    def preprocess(self, channels: np.ndarray | torch.Tensor, properties: dict[str, Any]) -> tuple[torch.Tensor, Grid]:
        """What nnU-Net's cropping, normalisation and resampling make of raw channels.

        Args:
            channels: (C, Z, Y, X) in nnU-Net's reoriented frame, CT in HU first.
            properties: As the reader gives them (``spacing`` Z, Y, X in mm); not changed.

        Returns:
            Network input (C, z, y, x) float32, with the model's results, and where it lies on the image grid.
        """
        crop = nonzero_box(channels)
        inside = (slice(None), *(slice(lo, hi) for lo, hi in crop))
        order = self.configuration.configuration["resampling_fn_data_kwargs"]["order"]
        spacing_mm = tuple(float(mm) for mm in properties["spacing"])
        data = resample(channels[inside], spacing_mm, self.spacing_mm, order, self.results, self._normalise)
        z, y, x = channels.shape[1:]
        return data, Grid((int(z), int(y), int(x)), crop, tuple(data.shape[1:]), spacing_mm)

    def _normalise(self, channels: torch.Tensor) -> torch.Tensor:
        """nnU-Net's CTNormalization of the first channel, by the plans' window, in place."""
        window = self._window
        ct = channels[0].clamp_(window["percentile_00_5"], window["percentile_99_5"])
        ct.sub_(window["mean"]).div_(max(window["std"], 1e-8))
        return channels

    @property
    def _window(self) -> dict[str, float]:
        return self.plans_manager.foreground_intensity_properties_per_channel["0"]

    def body(self, data: torch.Tensor) -> torch.Tensor | None:
        """Where the patient is; None, which is everywhere, where the CT window does not tell body from air.

        Args:
            data: (C, z, y, x) preprocessed input, CT first.

        Returns:
            (z, y, x) bool on the data's device.
        """
        window = self._window
        if not window["percentile_00_5"] < BODY_HU < window["percentile_99_5"]:
            return None
        ct_hu = data[0].cpu().numpy() * max(window["std"], 1e-8) + window["mean"]
        return torch.from_numpy(body_hull(ct_hu, self.spacing_mm)).to(data.device)

    def wanted(self, data: torch.Tensor, body: torch.Tensor | None) -> torch.Tensor | None:
        """Where something can be found: in the patient, within reach of the anchors. Elsewhere nothing is computed.

        Args:
            data: (C, z, y, x) preprocessed input: CT, then any guidance channels.
            body: Where the patient is (z, y, x); None for everywhere, as in a VOI.

        Returns:
            (z, y, x) bool; None for everywhere.
        """
        if body is None or self.tiling.everywhere:
            return None
        region = None
        if reach := self.reach():
            region = reached(data[1:], reach, self.spacing_mm)
        if region is None:
            return body
        within = torch.zeros_like(body)
        within[region] = body[region]
        return within

    def reach(self) -> Reach:
        """Where the training cases of these folds had the organs, seen from the anchors; empty if that is not known."""
        return join_reaches(self._learnt("reach"))

    def sides(self) -> Sides:
        """How far apart the training cases of these folds had left and right targets; empty if that is not known."""
        return join_sides(self._learnt("sides"))

    def _learnt(self, what: str) -> list:
        """What soars-plan learnt from the training cases of each of these folds; empty lists if it did not."""
        learnt = self.settings.get(what) or []
        return [learnt[fold] if fold < len(learnt) else [] for fold in self.folds]

    @torch.inference_mode()
    def outputs(self, data: torch.Tensor, body: torch.Tensor | None = None) -> torch.Tensor:
        """Network outputs by sliding window, averaged over the folds as nnU-Net averages them.

        Args:
            data: (C, z, y, x) preprocessed input.
            body: Where the patient is, if that is known already.

        Returns:
            (classes, z, y, x) float32 logits on the model's device, or on the CPU if they do not fit; for the detection
            branch a constant and the heat maps.
        """
        return fall_back_to_cpu(partial(self._outputs, data, body), [self])

    def _outputs(self, data: torch.Tensor, body: torch.Tensor | None) -> torch.Tensor:
        data = data.to(self.results)
        if self.settings["branch"] != "small_hard":
            body = self.body(data) if body is None else body.to(self.results)
        wanted = self.wanted(data, body)
        box = self.tiled_box(data.shape[1:], body, wanted)
        if box is None:
            return background(self.num_outputs, data.shape[1:], self.results)
        (part,) = self._average([data[(slice(None), *box)]], [None if wanted is None else wanted[box]])
        if part.shape[1:] == data.shape[1:]:
            return part
        output = background(self.num_outputs, data.shape[1:], self.results)
        output[(slice(None), *box)] = part
        return output

    def tiled_box(
        self, shape: Sequence[int], body: torch.Tensor | None, wanted: torch.Tensor | None
    ) -> tuple[slice, ...] | None:
        """Part of a volume (z, y, x) that the tiles are laid over, as nnU-Net lays them over what is not zero.

        It is the patient's box, whether tiles of it are left out or not. Few large tiles leave out none: they are laid
        over what is wanted. None where nothing is.
        """
        mask = wanted if self.uses_large_tiles and wanted is not None else body
        if mask is None:
            return tuple(slice(0, width) for width in shape)
        return grown_box(mask, self.configuration.patch_size)

    def _average(self, volumes: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
        """Mean outputs over the folds, and over both sides: (classes, z, y, x) by volume."""
        totals: list[torch.Tensor] = []
        for network in self.networks:
            outputs = self._slide(network, volumes, wanted)
            if self.mirror:
                flipped = [None if mask is None else mask.flip(-1) for mask in wanted]
                sides = self._slide(network, [data.flip(-1)[self.mirror["channels"]] for data in volumes], flipped)
                for output, side in zip(outputs, sides, strict=True):
                    output.add_(side.flip(-1)[self.mirror["classes"]]).div_(2)
            totals = [total.add_(out) for total, out in zip(totals, outputs, strict=True)] if totals else outputs
        return [total.div_(len(self.networks)) for total in totals]

    @property
    def uses_large_tiles(self) -> bool:
        """Whether it was asked to, and segments by appearance: heat maps and VOIs know the patch's size."""
        return self.tiling.large and self.settings["branch"] in ("anchor", "mid_level")

    def tile(self, shape: Sequence[int]) -> tuple[Sequence[int], Sequence[float]]:
        """Tile (z, y, x) for a volume of a shape, and its steps as fractions of it."""
        patch = self.configuration.patch_size
        if not self.uses_large_tiles:
            return patch, self.steps
        return large_tiles(shape, patch, self.steps, MAX_TILE_VOXELS)

    def _slide(
        self, network: PHNN, volumes: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor | None]
    ) -> list[torch.Tensor]:
        tile = self.tile(volumes[0].shape[1:]) if volumes else (self.configuration.patch_size, self.steps)
        return sliding_windows(network, volumes, self.num_outputs, *tile, self.device, wanted, self.results)

    def _mirror_order(self) -> dict[str, list[int]]:
        order = self.settings["mirror"]
        if None in order.values():
            raise MissingArtifactError(
                f"{self.folder}: expected both sides of all paired organs, trained without some; leave out --tta"
            )
        return order

    def probabilities(self, data: torch.Tensor, body: torch.Tensor | None = None) -> torch.Tensor:
        """Softmax of ``outputs``: (1 + organs, z, y, x) float32, background first."""
        return torch.softmax(self.outputs(data, body), dim=0)

    @torch.inference_mode()
    def voi_probabilities(self, vois: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Softmax (1 + organs, z, y, x) float32 of each VOI (C, z, y, x), their tiles batched; empty for none."""
        outputs = fall_back_to_cpu(partial(self._voi_outputs, vois), [self])
        return [torch.softmax(output, dim=0) for output in outputs]

    def _voi_outputs(self, vois: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        data = [voi.to(self.results) for voi in vois]
        return self._average(data, [None] * len(vois))


def _check_preprocessing(folder: Path, plans: dict[str, Any]) -> None:
    """Refuse plans by which nnU-Net would preprocess otherwise than ``BranchModel.preprocess`` does."""
    configuration = PlansFile(plans).configuration
    kwargs = configuration["resampling_fn_data_kwargs"]
    usual = (
        plans["transpose_forward"] == [0, 1, 2]
        and configuration["normalization_schemes"][0] == "CTNormalization"
        and configuration["resampling_fn_data"] == "resample_data_or_seg_to_shape"
        and (kwargs["is_seg"], kwargs["order_z"], kwargs["force_separate_z"]) == (False, 0, None)
    )
    if not usual:
        raise MissingArtifactError(
            f"{folder}/plans.json: expected the axes, normalisation and resampling that soars-plan writes, got others; "
            "plan and train the branch again"
        )


def guidance(model: BranchModel, data: torch.Tensor, body: torch.Tensor | None = None) -> torch.Tensor:
    """Channels that a branch passes on: (organs, z, y, x) probabilities, or (targets, z, y, x) heat maps in 0..1.

    Heat maps of left and right are told apart by where they lie (``geometry.sides``).

    Args:
        model: Of the branch.
        data: (C, z, y, x) preprocessed input.
        body: Where the patient is, if that is known already.
    """
    if model.settings["branch"] == "detection":
        return separate_sides(model.outputs(data, body)[1:].clamp(0, 1), model.sides(), model.spacing_mm[2])
    return model.probabilities(data, body)[1:]
