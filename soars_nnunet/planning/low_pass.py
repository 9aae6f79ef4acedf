"""nnU-Net's preprocessor for training, with the low pass that prediction gives a fine CT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from soars_nnunet.cascade.plans_file import low_pass_ratio_of
from soars_nnunet.geometry.low_pass import low_pass_sigmas
from soars_nnunet.geometry.resample import resample


class LowPassConfiguration(ConfigurationManager):
    """A configuration whose images get a low pass before they go down by more than the plans' ratio.

    Images that need none are resampled by nnU-Net's own function.
    """

    @property
    def resampling_fn_data(self) -> Callable[..., np.ndarray]:
        """Of an image (C, Z, Y, X), CT first: takes its new shape, its spacing and the new one."""
        order = self.configuration["resampling_fn_data_kwargs"]["order"]
        stock = super().resampling_fn_data
        return partial(_resample_image, stock=stock, ratio=low_pass_ratio_of(self.configuration), order=order)


def _resample_image(
    data: np.ndarray,
    new_shape: Sequence[int],
    spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    *,
    stock: Callable[..., np.ndarray],
    ratio: float | None,
    order: int,
) -> np.ndarray:
    if not any(low_pass_sigmas(spacing_mm, new_spacing_mm, ratio)):
        return stock(data, new_shape, spacing_mm, new_spacing_mm)
    return resample(data, spacing_mm, new_spacing_mm, order, low_pass_ratio=ratio).numpy()


class LowPassPreprocessor(DefaultPreprocessor):
    """nnU-Net's preprocessor, by a ``LowPassConfiguration``."""

    def run_case_npy(
        self,
        data: np.ndarray,
        seg: np.ndarray | None,
        properties: dict[str, Any],
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        dataset_json: dict | str,
    ) -> tuple[np.ndarray, np.ndarray, dict]:
        """As nnU-Net's, of an image (C, Z, Y, X) and labels (1, Z, Y, X)."""
        configuration = LowPassConfiguration(configuration_manager.configuration)
        return super().run_case_npy(data, seg, properties, plans_manager, configuration, dataset_json)
