"""What can be chosen about a prediction; no torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soars_nnunet.errors import InputError
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PredictionOptions:
    """How CTs are predicted, and which of them.

    Attributes:
        folds: Folds of every branch to average; None for each branch's trained folds.
        device: Where the networks run.
        tiling: Where in a CT they run, and on how large tiles.
        mirror: Test-time augmentation: average every network with itself on the mirrored input.
        organs: Only these, in any spelling of the profile; branches and VOIs that they do not need are not
            run, and so claim no voxel. None for all.
        postprocess: Keep only the largest part of the organs for which ``soars-cross-validate`` found that it
            helps these weights.
        fast: One fold of each branch, unless folds are given, and large tiles.
        overwrite: Predict again where a verified result exists.
        part_id: Which of ``num_parts``, from 0: every so manieth case, for processes side by side.
        num_parts: Processes among which the CTs are shared out, 1 or more.
        memory_limit_gib: What the process may take in all, above 0; None for what is free. A CT for which that is
            estimated not to suffice by itself is refused before work on it starts.

    Raises:
        InputError: If there is no such part, or the limit is no finite number above 0.
    """

    folds: Sequence[int] | None = None
    device: torch.device | str = "cpu"
    tiling: Tiling = DEFAULT_TILING
    mirror: bool = False
    organs: Sequence[str] | None = None
    postprocess: bool = True
    fast: bool = False
    overwrite: bool = False
    part_id: int = 0
    num_parts: int = 1
    memory_limit_gib: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.part_id < self.num_parts:
            raise InputError(
                "part: expected an id from 0 to the number of parts less one, "
                f"got id {self.part_id} of {self.num_parts}"
            )
        limit = self.memory_limit_gib
        if limit is not None and not 0 < limit < math.inf:
            raise InputError(f"memory limit: expected a finite number of GiB above 0, got {limit}")

    @property
    def used_tiling(self) -> Tiling:
        """The tiling that networks run with: ``fast`` takes large tiles."""
        return self.tiling.enlarged() if self.fast else self.tiling


DEFAULT_OPTIONS = PredictionOptions()
"""All trained folds, all organs, on the CPU."""
