"""What nnU-Net's preprocessing makes of a CT, on the network's device and several times quicker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from soars_nnunet.cascade.plans_file import PlansFile, low_pass_ratio_of
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.geometry.body import BODY_HU
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.resample import nonzero_box, resample
from soars_nnunet.prediction.sliding_window import in_all_channels

SMALLEST_STD = 1e-8
"""nnU-Net's own guard of its division."""


@dataclass(frozen=True)
class CtWindow:
    """nnU-Net's ``CTNormalization`` of the CT channel, as the plans fix it.

    Attributes:
        lowest_hu: Floor of the window.
        highest_hu: Its ceiling.
        mean_hu: What becomes 0.
        std_hu: What becomes one unit; above 0.
    """

    lowest_hu: float
    highest_hu: float
    mean_hu: float
    std_hu: float

    @classmethod
    def of(cls, plans: dict[str, Any]) -> CtWindow:
        """Window of nnU-Net's plans."""
        ct = plans["foreground_intensity_properties_per_channel"]["0"]
        return cls(
            lowest_hu=ct["percentile_00_5"],
            highest_hu=ct["percentile_99_5"],
            mean_hu=ct["mean"],
            std_hu=max(ct["std"], SMALLEST_STD),
        )

    def normalise(self, channels: torch.Tensor) -> torch.Tensor:
        """Normalise the first of (C, Z, Y, X) channels, in place."""
        ct = channels[0].clamp_(self.lowest_hu, self.highest_hu)
        ct.sub_(self.mean_hu).div_(self.std_hu)
        return channels

    def to_hu(self, ct: np.ndarray) -> np.ndarray:
        """HU, within the window, of a normalised channel."""
        return ct * self.std_hu + self.mean_hu

    @property
    def tells_body_from_air(self) -> bool:
        """Whether the limit between the two lies within the window."""
        return self.lowest_hu < BODY_HU < self.highest_hu


@dataclass(frozen=True)
class Preprocessing:
    """From raw channels to a network's input.

    Attributes:
        spacing_mm: Of the network's grid (Z, Y, X).
        order: Of the splines that channels are resampled with.
        window: Of the CT channel.
        low_pass_ratio: The CT gets a low pass along axes on which ``spacing_mm`` is more than this times its own; None
            for none.
    """

    spacing_mm: tuple[float, ...]
    order: int
    window: CtWindow
    low_pass_ratio: float | None

    @classmethod
    def of(cls, where: str, plans: dict[str, Any]) -> Preprocessing:
        """Preprocessing by nnU-Net's plans.

        Args:
            where: The model is, for messages.
            plans: Its plans.

        Raises:
            MissingArtifactError: If nnU-Net would preprocess otherwise by these plans.
        """
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
                f"{where}/plans.json: expected the axes, normalisation and resampling that soars-plan writes, "
                "got others; plan and train the branch again"
            )
        return cls(
            spacing_mm=tuple(configuration["spacing"]),
            order=kwargs["order"],
            window=CtWindow.of(plans),
            low_pass_ratio=low_pass_ratio_of(configuration),
        )

    def run(
        self, channels: np.ndarray | torch.Tensor, properties: dict[str, Any], device: torch.device
    ) -> tuple[torch.Tensor, Grid]:
        """What nnU-Net's cropping, normalisation and resampling make of raw channels, with the plans' low pass.

        Args:
            channels: (C, Z, Y, X) in nnU-Net's reoriented frame, CT in HU first.
            properties: As the reader gives them (``spacing`` Z, Y, X in mm); not changed.
            device: Where it is done, and where the result lies.

        Returns:
            Network input (C, z, y, x) float32, and where it lies on the image grid.
        """
        crop = nonzero_box(channels)
        inside = in_all_channels(tuple(slice(lo, hi) for lo, hi in crop))
        mm_z, mm_y, mm_x = (float(mm) for mm in properties["spacing"])
        spacing_mm = (mm_z, mm_y, mm_x)
        data = resample(
            channels[inside],
            spacing_mm,
            self.spacing_mm,
            self.order,
            device=device,
            prepare=self.window.normalise,
            low_pass_ratio=self.low_pass_ratio,
        )
        z, y, x = (int(size) for size in channels.shape[1:])
        net_z, net_y, net_x = data.shape[1:]
        grid = Grid(
            image_shape=(z, y, x),
            crop=crop,
            shape=(net_z, net_y, net_x),
            image_spacing_mm=spacing_mm,
        )
        return data, grid
