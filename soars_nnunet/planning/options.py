"""What the user chooses for all branches that are planned together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlanOptions:
    """Choices of the user for all branches.

    Attributes:
        regime: Name in ``plans/regimes.json``.
        plans_name: Name of the plans JSON; variants get their own.
        spacing_mm: (Z, Y, X) of Anchor, MidLevel and Detection; None for the median of the CTs.
        small_hard_spacing_mm: (Z, Y, X) of SmallHard; None for the median of the CTs.
        guidance: ``none`` leaves MidLevel, Detection and SmallHard with the CT alone (ablations of the paper's
            tables 1 and 2); SmallHard keeps its VOIs. ``in-sample`` trains MidLevel, which guides no other, with
            anchors that saw its cases; cross-validation judges it, not its training's validation.
        overrides: ``KEY=VALUE`` regime values.
        genotypes: Genotype by branch; the published ones by default.
        genotype_folds: By branch whose genotype a search found, the search's fold.
        from_bundle: Name or path of the bundle that trainings start from; None for new weights.
        num_processes: Preprocessing workers.
    """

    regime: str = "paper"
    plans_name: str = "nnUNetPlans"
    spacing_mm: tuple[float, ...] | None = None
    small_hard_spacing_mm: tuple[float, ...] | None = None
    guidance: str = "anchor"
    overrides: tuple[str, ...] = ()
    genotypes: dict[str, list[str]] | None = None
    genotype_folds: dict[str, int | str] | None = None
    from_bundle: str | None = None
    num_processes: int = 2

    def is_in_sample(self, branch: str) -> bool:
        """Whether a branch is guided by models that trained on its cases."""
        return branch == "mid_level" and self.guidance == "in-sample"

    def spacing_of(self, branch: str) -> tuple[float, ...] | None:
        """Spacing (Z, Y, X) that the user wants for a branch, mm; None for the median of its CTs."""
        return self.small_hard_spacing_mm if branch == "small_hard" else self.spacing_mm
