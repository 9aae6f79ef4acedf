"""One trained branch: its plans, its network and one set of weights per fold.

Preprocessing gives what nnU-Net's own gives, on the network's device and several times quicker (``geometry.resample``).
Axes: (C, z, y, x) on the network's grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.storage import json_hash
from soars_nnunet.cascade.stored_model import StoredModel
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.geometry.body import body_hull, grown_box
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.reach import Reach, join_reaches, reached
from soars_nnunet.geometry.sides import Sides, join_sides, separate_sides
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.prediction.device_memory import fall_back_to_cpu
from soars_nnunet.prediction.loading import load_weights
from soars_nnunet.prediction.preprocessing import Preprocessing
from soars_nnunet.prediction.sliding_window import background, in_all_channels, sliding_windows, validate_steps
from soars_nnunet.prediction.tiling import DEFAULT_TILING, MAX_TILE_VOXELS, Tile, Tiling, large_tile

Volumes = Sequence[torch.Tensor]
"""(C, z, y, x) each."""
Masks = Sequence[torch.Tensor | None]
"""By volume: (z, y, x) bool, None for everywhere."""


@dataclass(frozen=True)
class Swap:
    """What becomes of channels and classes where left and right are swapped.

    Attributes:
        channels: By channel of the mirrored input, the channel whose mirror image it is.
        classes: By class of the mirrored output, the class that it is of the input as it was.
    """

    channels: list[int]
    classes: list[int]


class BranchModel:
    """A trained branch of the cascade, ready to run on preprocessed arrays.

    Args:
        stored: Where its plans and weights are: a training's model folder, or a bundle.
        folds: Folds to average; None for all that there are.
        device: Where the network runs, and where its inputs and results lie unless they do not fit.
        tiling: Where it runs, and on how large tiles.
        mirror: Average with the output for the mirrored input, left and right swapped in channels and classes.

    Raises:
        MissingArtifactError: If the plans, the weights or a fold are missing or unreadable, if the plans are not of
            soars-plan, or if the network cannot be mirrored because it knows only one side of an organ.
    """

    def __init__(
        self,
        stored: StoredModel,
        folds: Sequence[int] | None,
        device: torch.device,
        tiling: Tiling = DEFAULT_TILING,
        *,
        mirror: bool = False,
    ) -> None:
        self.where, self.name = stored.where, stored.name
        self.folds = stored.choose_folds(folds)
        self.tiling = tiling
        self.device = self.results = device
        self.dataset_json = stored.dataset_json
        plans = stored.plans
        self.preprocessing = Preprocessing.of(self.where, plans)
        self.plans_hash = json_hash(plans)
        self.plans_manager = PlansManager(plans)
        self.configuration = self.plans_manager.get_configuration(CONFIGURATION)
        self.settings = PlansFile(plans).settings
        self.fingerprint = stored.fingerprint(self.folds)
        self.steps = self.settings.step_size if tiling.step_size is None else [tiling.step_size] * 3
        validate_steps(self.steps)
        self.networks = [load_weights(stored, fold, self._new_network(), device) for fold in self.folds]
        self.mirror = self._mirror_order() if mirror else None

    @property
    def num_outputs(self) -> int:
        """Channels of the network's output: background and organs, or a constant and heat maps."""
        return self.plans_manager.get_label_manager(self.dataset_json).num_segmentation_heads

    def _new_network(self) -> PHNN:
        """The network of the plans; not by the trainer, importing which takes half of a short start."""
        num_channels = determine_num_input_channels(self.plans_manager, self.configuration, self.dataset_json)
        arguments = self.configuration.network_arch_init_kwargs
        return PHNN(num_channels, self.num_outputs, **arguments, deep_supervision=False)

    def _mirror_order(self) -> Swap:
        order = self.settings.mirror
        if order.classes is None or order.channels is None:
            raise MissingArtifactError(
                f"{self.where}: expected both sides of all paired organs, trained without some; leave out --tta"
            )
        return Swap(channels=list(order.channels), classes=list(order.classes))

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Spacing (Z, Y, X) of the network grid."""
        return self.preprocessing.spacing_mm

    def preprocess(self, channels: np.ndarray | torch.Tensor, properties: dict[str, Any]) -> tuple[torch.Tensor, Grid]:
        """What nnU-Net's cropping, normalisation and resampling make of raw channels.

        Args:
            channels: (C, Z, Y, X) in nnU-Net's reoriented frame, CT in HU first.
            properties: As the reader gives them (``spacing`` Z, Y, X in mm); not changed.

        Returns:
            Network input (C, z, y, x) float32, with the model's results, and where it lies on the image grid.
        """
        return self.preprocessing.run(channels, properties, self.results)

    def body(self, data: torch.Tensor) -> torch.Tensor | None:
        """Where the patient is; None, which is everywhere, where the CT window does not tell body from air.

        Args:
            data: (C, z, y, x) preprocessed input, CT first.

        Returns:
            (z, y, x) bool on the data's device.
        """
        window = self.preprocessing.window
        if not window.tells_body_from_air:
            return None
        ct_hu = window.to_hu(data[0].cpu().numpy())
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
        reach = self.reach()
        region = reached(data[1:], reach, self.spacing_mm) if reach else None
        if region is None:
            return body
        within = torch.zeros_like(body)
        within[region] = body[region]
        return within

    def reach(self) -> Reach:
        """Where the training cases of these folds had the organs, seen from the anchors; empty if that is not known."""
        return join_reaches(self._of_folds(self.settings.reach))

    def sides(self) -> Sides:
        """How far apart the training cases of these folds had left and right targets; empty if that is not known."""
        return join_sides(self._of_folds(self.settings.sides))

    def _of_folds(self, learnt: Sequence[list]) -> list[list]:
        """What soars-plan learnt from the training cases of each of these folds; empty lists if it did not."""
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
        if self.settings.branch != "small_hard":
            body = self.body(data) if body is None else body.to(self.results)
        wanted = self.wanted(data, body)
        box = self.tiled_box(data.shape[1:], body, wanted)
        if box is None:
            return background(self.num_outputs, data.shape[1:], self.results)
        inside = in_all_channels(box)
        (part,) = self._average([data[inside]], [None if wanted is None else wanted[box]])
        if part.shape[1:] == data.shape[1:]:
            return part
        output = background(self.num_outputs, data.shape[1:], self.results)
        output[inside] = part
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

    def _average(self, volumes: Volumes, wanted: Masks) -> list[torch.Tensor]:
        """Mean outputs over the folds, and over both sides: (classes, z, y, x) by volume."""
        first, *others = self.networks
        totals = self._both_sides(first, volumes, wanted)
        for network in others:
            outputs = self._both_sides(network, volumes, wanted)
            for total, output in zip(totals, outputs, strict=True):
                total.add_(output)
        for total in totals:
            total.div_(len(self.networks))
        return totals

    def _both_sides(self, network: PHNN, volumes: Volumes, wanted: Masks) -> list[torch.Tensor]:
        """Outputs of one fold; with mirroring, their mean with those for the mirrored volumes."""
        outputs = self._slide(network, volumes, wanted)
        if self.mirror is not None:
            mirrored = self._slide_mirrored(network, volumes, wanted, self.mirror)
            for output, other in zip(outputs, mirrored, strict=True):
                output.add_(other.flip(-1)[self.mirror.classes]).div_(2)
        return outputs

    def _slide_mirrored(self, network: PHNN, volumes: Volumes, wanted: Masks, order: Swap) -> list[torch.Tensor]:
        """Outputs for the mirrored volumes, mirrored as they come."""
        mirrored = [data.flip(-1)[order.channels] for data in volumes]
        masks = [None if mask is None else mask.flip(-1) for mask in wanted]
        return self._slide(network, mirrored, masks)

    @property
    def uses_large_tiles(self) -> bool:
        """Whether it was asked to, and segments by appearance: heat maps and VOIs know the patch's size."""
        return self.tiling.large and self.settings.branch in ("anchor", "mid_level")

    def tile(self, shape: Sequence[int]) -> Tile:
        """Tile for a volume (z, y, x) of a shape."""
        patch = Tile(self.configuration.patch_size, self.steps)
        return large_tile(shape, patch, MAX_TILE_VOXELS) if self.uses_large_tiles else patch

    def _slide(self, network: PHNN, volumes: Volumes, wanted: Masks) -> list[torch.Tensor]:
        if not volumes:
            return []
        return sliding_windows(
            network,
            volumes,
            self.num_outputs,
            self.tile(volumes[0].shape[1:]),
            device=self.device,
            wanted=wanted,
            results=self.results,
        )

    def probabilities(self, data: torch.Tensor, body: torch.Tensor | None = None) -> torch.Tensor:
        """Softmax of ``outputs``: (1 + organs, z, y, x) float32, background first."""
        return torch.softmax(self.outputs(data, body), dim=0)

    @torch.inference_mode()
    def voi_probabilities(self, vois: Volumes) -> list[torch.Tensor]:
        """Softmax (1 + organs, z, y, x) float32 of each VOI (C, z, y, x), their tiles batched; empty for none."""
        outputs = fall_back_to_cpu(partial(self._voi_outputs, vois), [self])
        return [torch.softmax(output, dim=0) for output in outputs]

    def _voi_outputs(self, vois: Volumes) -> list[torch.Tensor]:
        data = [voi.to(self.results) for voi in vois]
        return self._average(data, [None] * len(vois))


def guidance(model: BranchModel, data: torch.Tensor, body: torch.Tensor | None = None) -> torch.Tensor:
    """Channels that a branch passes on: (organs, z, y, x) probabilities, or (targets, z, y, x) heat maps in 0..1.

    Heat maps of left and right are told apart by where they lie (``geometry.sides``).

    Args:
        model: Of the branch.
        data: (C, z, y, x) preprocessed input.
        body: Where the patient is, if that is known already.
    """
    if model.settings.branch == "detection":
        return separate_sides(model.outputs(data, body)[1:].clamp(0, 1), model.sides(), model.spacing_mm[2])
    return model.probabilities(data, body)[1:]
