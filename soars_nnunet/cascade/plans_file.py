"""nnU-Net's plans of one network, as ``soars-plan`` writes them: the one place that knows where things are in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.node import Node, checked
from soars_nnunet.settings.branch_settings import BranchSettings

CONFIGURATION = "3d_fullres"
"""nnU-Net's name for the configuration that ``soars-plan`` writes, the only one."""

SETTINGS = "soars"
"""Key of a branch's settings in nnU-Net's configuration."""


REPLAN = "rerun soars-plan, or copy the file again"
"""What to do about a file of another form."""

LARGEST = 1e7
"""Beyond any spacing in mm or HU."""


def _check_plans(node: Node) -> None:
    """Stock plans pass as well: that there are configurations, and what all readers of plans take from them."""
    fields = node.fields(("configurations", "foreground_intensity_properties_per_channel"))
    for name, configuration in fields["configurations"].entries().items():
        with node.part():
            _check_configuration(configuration, name == CONFIGURATION)
    channels = fields["foreground_intensity_properties_per_channel"].fields(("0",))
    channels["0"].fields(("std",))["std"].number(0, LARGEST)


def _check_configuration(node: Node, is_ours: bool) -> None:
    fields = node.fields(("spacing",) if is_ours else ())
    if is_ours:
        fields["spacing"].numbers(3, 1e-6, LARGEST)
    if fields.get(SETTINGS) is not None and fields[SETTINGS].value is not None:
        settings = fields[SETTINGS].fields(())
        if settings.get("low_pass_ratio") is not None and settings["low_pass_ratio"].value is not None:
            settings["low_pass_ratio"].number(0, LARGEST)


def settings_of(configuration: dict[str, Any]) -> BranchSettings | None:
    """Settings in a configuration; None in stock plans."""
    found = configuration.get(SETTINGS)
    return None if found is None else BranchSettings.from_json(found)


def low_pass_ratio_of(configuration: dict[str, Any]) -> float | None:
    """``low_pass_ratio`` of a configuration; None where it does not say."""
    return configuration.get(SETTINGS, {}).get("low_pass_ratio")


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
            MissingArtifactError: If it is absent, not JSON, or JSON of something else.
        """
        data = read_json(path)
        checked(data, str(path), _check_plans, advice=REPLAN)
        return cls(data)

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
    def settings(self) -> BranchSettings:
        """Settings of the branch.

        Raises:
            MissingArtifactError: If the plans are not of ``soars-plan``.
        """
        found = settings_of(self.configuration)
        if found is None:
            raise MissingArtifactError("plans: expected those that soars-plan writes, got others; rerun soars-plan")
        return found

    @property
    def split_sha256(self) -> str | None:
        """Hash of the split that was planned for; None if the plans do not say."""
        return self.configuration.get(SETTINGS, {}).get("split_sha256")

    @property
    def hu_per_unit(self) -> float:
        """HU that make one unit of the network's first input channel, the CT."""
        ct = self.contents["foreground_intensity_properties_per_channel"]["0"]
        return ct["std"]

    @property
    def grid_and_units(self) -> str:
        """Spacing (Z, Y, X) of the grid and what its CT channel's numbers mean, in words; equal if they are."""
        spacing = " x ".join(f"{mm:g}" for mm in self.spacing_mm)
        ratio = low_pass_ratio_of(self.configuration)
        low_pass = "" if ratio is None else f", with a low pass from {ratio:g} times finer"
        return f"{spacing} mm and {self.hu_per_unit:g} HU a unit{low_pass}"
