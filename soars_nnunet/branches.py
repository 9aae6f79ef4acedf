"""The networks of the cascade, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Branch:
    """One of the four networks of the cascade, the baseline that it is compared with, or all branches in one graph.

    Attributes:
        key: Name in JSON files and on the command line.
        suffix: Appended to the source dataset's name.
        trainer: nnU-Net trainer class.
        tier: Profile tier whose organs the branch segments or detects; ``all`` for every organ, ``cascade``
            for every branch's.
        guided_by: Branch whose out-of-fold output is appended to the CT channel, or None.
    """

    key: str
    suffix: str
    trainer: str
    tier: str
    guided_by: str | None


BRANCHES = {
    branch.key: branch
    for branch in (
        Branch("anchor", "Anchor", "SOARSAnchorTrainer", "anchor", None),
        Branch("mid_level", "MidLevel", "SOARSMidLevelTrainer", "mid_level", "anchor"),
        Branch("detection", "Detection", "SOARSDetectionTrainer", "small_hard", "anchor"),
        Branch("small_hard", "SmallHard", "SOARSSmallHardTrainer", "small_hard", "detection"),
        Branch("baseline", "Baseline", "SOARSBaselineTrainer", "all", None),
        Branch("fine_tune", "FineTune", "SOARSFineTuneTrainer", "cascade", None),
    )
}
