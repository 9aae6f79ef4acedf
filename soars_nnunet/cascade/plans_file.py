"""nnU-Net's plans of one network, as ``soars-plan`` writes them: the one place that knows where things are in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_json

CONFIGURATION = "3d_fullres"
"""nnU-Net's name for the configuration that ``soars-plan`` writes, the only one."""


@dataclass(frozen=True)
class PlansFile:
    """Plans of one network.

    Attributes:
        contents: The JSON, with all that nnU-Net reads from it.
    """

    contents: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> PlansFile:
        """Read a plans JSON.

        Raises:
            MissingArtifactError: If it is absent or not JSON.
        """
        return cls(read_json(path))

    @property
    def configuration(self) -> dict[str, Any]:
        """The network's configuration: spacing, patch, architecture, settings; part of ``contents``."""
        return self.contents["configurations"][CONFIGURATION]

    def named(self, configuration: str) -> dict[str, Any]:
        """A configuration of any name, as stock plans have several; empty if there is none."""
        return self.contents["configurations"].get(configuration, {})

    @property
    def spacing_mm(self) -> list[float]:
        """Voxel size (Z, Y, X) of the network's grid, mm."""
        return self.configuration["spacing"]

    @property
    def hu_per_unit(self) -> float:
        """HU that make one unit of the network's first input channel, the CT."""
        ct = self.contents["foreground_intensity_properties_per_channel"]["0"]
        return ct["std"]

    @property
    def grid_and_units(self) -> str:
        """Spacing (Z, Y, X) of the grid and what its CT channel's numbers mean, in words; equal if they are."""
        spacing = " x ".join(f"{mm:g}" for mm in self.spacing_mm)
        return f"{spacing} mm and {self.hu_per_unit:g} HU a unit"
