"""Settings of one network, as they travel in its plans (``configuration["soars"]``).

JSON is read by ``BranchSettings.from_json`` and written by ``to_json``; everything between works on the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.settings.bundle_start import BundleStart
from soars_nnunet.settings.regime_settings import OF_FINE_TUNING, RegimeSettings
from soars_nnunet.settings.rule import FACT, OURS, setting

EQUAL_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
"""Of the four sums, in plans that do not name weights."""


@dataclass(frozen=True)
class MirrorOrder:
    """Where each class and channel comes from when left and right change sides.

    Attributes:
        classes: Index of each class's partner, background first; None where a partner is not among the classes.
        channels: The same for the input's channels, CT first.
    """

    classes: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether a mirrored patch can be trained on or predicted."""
        return self.classes is not None and self.channels is not None

    @property
    def known_classes(self) -> tuple[int, ...]:
        """``classes``, where a patch is to be mirrored.

        Raises:
            ValueError: If a partner is not among them.
        """
        return _known(self.classes)

    @property
    def known_channels(self) -> tuple[int, ...]:
        """``channels``, where a patch is to be mirrored.

        Raises:
            ValueError: If a partner is not among them.
        """
        return _known(self.channels)


def _known(order: tuple[int, ...] | None) -> tuple[int, ...]:
    if order is None:
        raise ValueError("mirroring: expected both sides of every paired organ, got only one of some")
    return order


@dataclass(frozen=True)
class LossSettings:
    """What a branch's loss is made of; the fields are those of ``RegimeSettings``."""

    dice_weight: float
    ce_weight: float
    dice_background: bool
    dice_absent_classes: bool
    side_output_weights: tuple[float, ...]
    heatmap_foreground_weight: float
    sigma_mm: float


@dataclass(frozen=True)
class JoinedBranch:
    """A trained branch as the end-to-end fine-tuning takes it up.

    Attributes:
        plans: Name of its plans.
        classes: Foreground classes in label order, each with the organs that it unites.
        patch_size: (Z, Y, X), voxels of its own grid.
        loss: What its loss is made of.
    """

    plans: str
    classes: tuple[tuple[str, tuple[str, ...]], ...]
    patch_size: tuple[int, ...]
    loss: LossSettings

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JoinedBranch:
        """Of its entry in the plans."""
        defaults = {"dice_absent_classes": False, "side_output_weights": EQUAL_WEIGHTS}
        known = {field.name for field in fields(LossSettings)}
        loss = {name: to_tuples(value) for name, value in {**defaults, **data["loss"]}.items() if name in known}
        return cls(
            plans=data["plans"],
            classes=to_tuples(data["classes"]),
            patch_size=to_tuples(data["patch_size"]),
            loss=LossSettings(**loss),
        )


@dataclass(frozen=True, kw_only=True)
class BranchSettings(RegimeSettings):
    """Regime values of a branch, and what ``soars-plan`` adds to them.

    ``reach`` and ``sides`` keep the form of ``geometry.reach`` and ``geometry.sides``, one entry a fold.
    """

    branch: str = setting("Key of the branch.", FACT, OURS)
    channel_names: Mapping[str, str] | None = setting(
        "nnU-Net's name of each input channel, CT first.", FACT, OURS, null="those of dataset.json", default=None
    )
    guidance: tuple[str, ...] = setting("Organs or targets of the guidance channels.", FACT, OURS, default=())
    mirror: MirrorOrder = setting(
        "Partner of each class and channel when left and right change sides.", FACT, OURS, default=MirrorOrder()
    )
    split_sha256: str | None = setting(
        "Hash of the split that the branch is trained on.", FACT, OURS, null="unknown", default=None
    )
    patient_pattern: str | None = setting(
        "Regular expression whose first group is the patient in a case name.",
        FACT,
        OURS,
        null="a case is a patient",
        default=None,
    )
    in_sample: bool = setting(
        "Whether the guidance channels are of models that trained on the case.", FACT, OURS, default=False
    )
    sides: Sequence[Any] = setting(
        "How far apart left and right targets are, by fold.", FACT, OURS, unit="mm", default=()
    )
    reach: Sequence[Any] = setting(
        "Where the organs are, seen from the anchors, by fold.", FACT, OURS, unit="mm", default=()
    )
    cascade: Mapping[str, JoinedBranch] | None = setting(
        "Branches that a fine-tuning joins, by key.", FACT, OURS, null="no fine-tuning", default=None
    )
    start: BundleStart | None = setting(
        "Bundle whose weights the trainings start from.", FACT, OURS, null="new weights", default=None
    )

    @property
    def num_channels(self) -> int:
        """Channels of the network's input: the CT and its guidance."""
        return len(self.channel_names) if self.channel_names else 1

    @property
    def loss(self) -> LossSettings:
        """What the branch's loss is made of."""
        own = {one.name: getattr(self, one.name) for one in fields(LossSettings)}
        return LossSettings(**own)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BranchSettings:
        """Settings in plans of this version or of an older one; keys of other versions are passed over.

        Raises:
            MissingArtifactError: If a setting is missing that all versions wrote.
        """
        values = {}
        missing = []
        for one in fields(cls):
            if one.name in data:
                values[one.name] = _from_json(one.name, data[one.name])
            elif one.default is MISSING:
                missing.append(one.name)
        if missing:
            raise MissingArtifactError(
                f"plans: expected the settings that soars-plan writes, found no {', '.join(missing)}; rerun soars-plan"
            )
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """What stands in the plans: every value, but of what most branches lack only what is there."""
        data = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in OF_FINE_TUNING and self.branch != "fine_tune":
                continue
            if one.name in WRITTEN_WHERE_THERE and not value:
                continue
            data[one.name] = _to_json(value)
        return data


WRITTEN_WHERE_THERE = ("in_sample", "sides", "reach", "cascade", "start")
"""Settings that are left out of the JSON where they are false or empty."""


def _from_json(name: str, value: Any) -> Any:
    if name in ("sides", "reach"):
        return value or ()
    if name == "mirror":
        return MirrorOrder(classes=to_tuples(value["classes"]), channels=to_tuples(value["channels"]))
    if name == "cascade":
        return {key: JoinedBranch.from_json(branch) for key, branch in value.items()}
    if name == "start":
        return BundleStart.from_json(value)
    return to_tuples(value)


def to_tuples(value: Any) -> Any:
    """The value with tuples for lists."""
    if isinstance(value, list | tuple):
        return tuple(to_tuples(item) for item in value)
    return value


def _to_json(value: Any) -> Any:
    """The value with lists for tuples, and dicts for dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        return _to_json(asdict(value))
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    return value
