"""Hyper-parameters that a regime names: one field each, with meaning, unit, values and whose choice it is.

A field's default is what plans without it mean: those of an older version, which did not know it.
"""

from __future__ import annotations

from dataclasses import dataclass

from soars_nnunet.settings.rule import (
    ABOVE_0_TO_1,
    ABOVE_1,
    BETWEEN_0_AND_1,
    FACT,
    FROM_0_BELOW_1,
    FROM_0_TO_1,
    NAMES,
    OURS,
    PAPER,
    PROBABILITY,
    SEED,
    TRUTH,
    Span,
    Values,
    number,
    positive_up_to,
    setting,
    whole,
)

NUM_BLOCKS = 4
"""Blocks of a P-HNN, each with channels, convolutions and a supervised sum of its own."""

MIN_PATCH = 4
"""Voxels of an axis: nnU-Net leaves as many at the deepest block."""

MAX_EPOCHS, MAX_STEPS = 100_000, 1_000_000
"""Of a training, and of an epoch: more would take years."""

MAX_WEIGHT = 1e6
"""Of a part of a loss beside the others."""


@dataclass(frozen=True, kw_only=True)
class RegimeSettings:
    """Values of a regime for one branch; lists of the JSON are tuples."""

    regime: str = setting("Name of the regime in `plans/regimes.json`.", FACT, OURS)

    # network and patches
    features_per_stage: tuple[int, ...] = setting("Channels of each block.", whole(1, 1024).times(NUM_BLOCKS), OURS)
    n_convs_per_stage: tuple[int, ...] = setting("Convolutions of each block.", whole(1, 8).times(NUM_BLOCKS), OURS)
    max_patch_voxels: tuple[int, ...] | None = setting(
        "Largest patch (Z, Y, X).",
        whole(MIN_PATCH, 1024).times(3),
        PAPER,
        unit="voxels",
        null="as large as the largest image",
    )
    max_patch_mm: float | None = setting(
        "Longest useful extent of a patch.", number(10, 10_000), OURS, unit="mm", null="no limit"
    )
    hu_per_unit: float = setting(
        "HU that make one unit of the network's input.", number(0.1, 100_000), OURS, unit="HU", default=1500.0
    )
    low_pass_ratio: float | None = setting(
        "A CT gets a low pass along an axis where the network's spacing is more than this times its own.",
        Values("number", ABOVE_1),
        OURS,
        null="no low pass",
        default=None,
    )

    # schedule
    batch_size: int = setting("Patches in a step.", whole(1, 1024), PAPER, unit="patches")
    num_epochs: int = setting("Epochs of a training.", whole(1, MAX_EPOCHS), PAPER, unit="epochs")
    patches_per_volume: int | None = setting(
        "Patches of a case that make a pass.", whole(1, 1_000_000), PAPER, unit="patches", null="epochs are no passes"
    )
    iterations_per_epoch: int | None = setting(
        "Steps of an epoch.",
        whole(1, MAX_STEPS),
        PAPER,
        unit="steps",
        null="one pass over the patches of the training cases",
    )
    val_iterations_per_epoch: int = setting("Validation steps of an epoch.", whole(1, MAX_STEPS), OURS, unit="steps")
    step_size: tuple[float, ...] = setting(
        "Steps (Z, Y, X) of the sliding window as fractions of the patch.",
        Values("number", ABOVE_0_TO_1, count=3),
        PAPER,
        default=(0.5, 0.5, 0.5),
    )
    save_every: int = setting(
        "A checkpoint is written after so many epochs.", whole(1, MAX_EPOCHS), OURS, unit="epochs"
    )
    final_validation: bool = setting(
        "Whether a training ends by predicting its validation cases.", TRUTH, OURS, default=True
    )

    # optimiser
    initial_lr: float = setting("Learning rate of the first step.", positive_up_to(100), PAPER)
    lr_decays_by_step: bool = setting(
        "Whether the learning rate falls at every step, not at every epoch.", TRUTH, OURS, default=False
    )
    optimizer: str = setting(
        "RAdam, or SGD with Nesterov momentum as nnU-Net has it.",
        Values("name", choices=("RAdam", "SGD")),
        PAPER,
        default="RAdam",
    )
    weight_decay: float = setting("Weight decay.", number(0, 100), PAPER)
    decoupled_weight_decay: bool = setting(
        "Whether RAdam's weights decay by themselves instead of by the gradient.", TRUTH, OURS, default=False
    )
    beta1: float = setting("RAdam's first beta, or SGD's momentum.", Values("number", FROM_0_BELOW_1), PAPER)
    beta2: float = setting("RAdam's second beta.", Values("number", FROM_0_BELOW_1), OURS, default=0.999)

    # loss
    dice_weight: float = setting("Weight of the Dice loss.", number(0, MAX_WEIGHT), PAPER)
    ce_weight: float = setting("Weight of the cross entropy.", number(0, MAX_WEIGHT), PAPER)
    dice_background: bool = setting("Whether the background counts in the Dice loss.", TRUTH, OURS)
    dice_absent_classes: bool = setting(
        "Whether classes that a batch lacks count in the Dice loss.", TRUTH, OURS, default=False
    )
    side_output_weights: tuple[float, ...] = setting(
        "Weights of the network's four sums in the loss, deepest sum first.",
        Values("number", Span(high=MAX_WEIGHT), count=NUM_BLOCKS, any_above_0=True),
        OURS,
        default=(1.0,) * NUM_BLOCKS,
    )

    # patches
    organ_centred_patches: float = setting(
        "Share of the patches that are centred in an organ of the branch.", Values("number", FROM_0_TO_1), OURS
    )
    p_scaling: float = setting("Probability that a patch is scaled.", PROBABILITY, PAPER)
    scaling: tuple[float, ...] = setting("Smallest and largest factor of scaling.", number(0.1, 10).times(2), PAPER)
    p_rotation: float = setting("Probability that a patch is rotated.", PROBABILITY, PAPER)
    rotation_deg: float = setting("Largest rotation about each axis.", number(0, 180), OURS, unit="degrees")
    p_intensity: float = setting(
        "Probability of nnU-Net's intensity augmentation of the CT.", PROBABILITY, PAPER, default=0.0
    )
    p_noise_sharpness: float = setting(
        "Probability of noise of 10 to 40 HU in a patch of the CT, and that of a blur or a sharpening.",
        PROBABILITY,
        OURS,
        default=0.0,
    )
    p_guidance_corruption: float = setting(
        "Probability of each error (blur, shift, missing organ) put into guidance channels.",
        PROBABILITY,
        OURS,
        default=0.0,
    )
    guidance_shift_voxels: int = setting(
        "Largest shift of a guidance channel along each axis.", whole(0, 1024), OURS, unit="voxels", default=2
    )
    p_guidance_dropout: float = setting(
        "Probability that a patch gets no guidance at all.", PROBABILITY, OURS, default=0.0
    )
    p_mirror: float = setting(
        "Probability that a patch is mirrored, left and right organs swapped.", PROBABILITY, PAPER, default=0.0
    )

    # detection
    sigma_mm: float = setting("Sigma of the Gaussian heat maps.", number(0.1, 200), PAPER, unit="mm")
    heatmap_foreground_weight: float = setting(
        "Further weight of a heat map's peak in the squared error.", number(0, MAX_WEIGHT), PAPER
    )

    seed: int | None = setting("Seed of the first weights.", SEED, OURS, null="another one each time")

    # architecture search
    search_frozen_epochs: int = setting(
        "Epochs of a search with alpha frozen.", whole(0, MAX_EPOCHS), PAPER, unit="epochs", default=20
    )
    search_joint_epochs: int = setting(
        "Epochs of a search after them.", whole(0, MAX_EPOCHS), PAPER, unit="epochs", default=30
    )
    search_batch_size: int = setting("Patches in a step of a search.", whole(1, 1024), PAPER, unit="patches", default=2)
    search_iterations_per_epoch: int | None = setting(
        "Steps of a search's epoch.",
        whole(1, MAX_STEPS),
        OURS,
        unit="steps",
        null="one pass over the patches of the cases that train the weights",
        default=None,
    )
    search_initial_lr: float = setting(
        "Learning rate of a search's first step.", positive_up_to(100), PAPER, default=0.005
    )
    search_alpha_lr: float = setting("Learning rate of alpha.", positive_up_to(100), OURS, default=0.0003)
    search_alpha_betas: tuple[float, ...] = setting(
        "Betas of alpha's RAdam.", Values("number", FROM_0_BELOW_1, count=2), OURS, default=(0.5, 0.999)
    )
    search_alpha_share: float = setting(
        "Share of the training patients that alpha learns from.",
        Values("number", BETWEEN_0_AND_1),
        PAPER,
        default=0.333,
    )
    search_seed: int = setting("Seed of a search.", SEED, OURS, default=0)

    # fine-tuning of the whole cascade
    vois_per_patch: int = setting(
        "VOIs of a patch that are trained on, at most.", whole(1, 1000), OURS, unit="VOIs", default=2
    )
    fine_tuned: tuple[str, ...] = setting(
        "Branches whose weights move.", NAMES, PAPER, default=("anchor", "mid_level", "detection", "small_hard")
    )


OF_FINE_TUNING = ("vois_per_patch", "fine_tuned")
"""Settings of the end-to-end fine-tuning alone."""
