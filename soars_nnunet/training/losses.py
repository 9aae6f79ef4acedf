"""Losses of the segmentation and the detection tiers, for one resolution.

Deep supervision is nnU-Net's ``DeepSupervisionWrapper`` around them (with explicit weights).
Legend: B batch, C classes with background 0, T heat maps, Z Y X space.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SMALLEST = 1e-37
"""Probability below which the logarithm is not taken: float32 has no smaller ones at full precision."""


class DiceCELoss(nn.Module):
    """``weight_dice * Dice loss + weight_ce * cross entropy``; both from one softmax.

    Cross entropy is the mean over all voxels. The Dice loss is minus the soft batch Dice, averaged
    over the classes that the batch contains: with p = softmax(logits) and g_c the one-hot target,
    sums over the whole batch and space::

        dice_c = (2 sum(p_c g_c) + smooth) / (sum(p_c) + sum(g_c) + smooth)
        loss   = - mean of dice_c over the classes c with sum(g_c) > 0

    Averaging over absent classes too, as nnU-Net's loss does, rewards a network for never
    predicting a small organ, which most batches lack: such organs then stay empty for good. The
    price: false positives of an absent class cost nothing in the Dice unless they take voxels from
    a class that is present. Background counts as such with ``include_background``; otherwise
    cross entropy has to hold them down.

    Organs that are in a case but not drawn (``not_annotated``) are unknown, not background: in that case their
    probability is added to the background's (marginal loss), as are voxels of the target that carry
    them, and their Dice leaves the case out.

    Voxels of nnU-Net's ignore label (C, one above the classes) count nothing at all.

    Sums are float32 whatever the logits' type. Under DDP each process averages its own batch.

    Args:
        weight_dice: Weight of the Dice loss; 0 leaves the cross entropy alone.
        weight_ce: Weight of the cross entropy; 0 leaves the Dice loss alone.
        include_background: Whether class 0 takes part in the Dice average.
        smooth: Added to numerator and denominator, in voxels; nnU-Net's default.
        include_absent: Average over absent classes, too, as nnU-Net does.
    """

    def __init__(
        self,
        weight_dice: float = 1.0,
        weight_ce: float = 1.0,
        include_background: bool = False,
        smooth: float = 1e-5,
        *,
        include_absent: bool = False,
    ) -> None:
        super().__init__()
        self.weight_dice = weight_dice
        self.weight_ce = weight_ce
        self.include_background = include_background
        self.smooth = smooth
        self.include_absent = include_absent
        self.not_annotated: torch.Tensor | None = None
        """(B, C) bool of the next batch, background never; None where every organ is drawn or absent."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss; the Dice part is in [-1, 0], and 0 with zero gradients where no class counts.

        Args:
            logits: (B, C, Z, Y, X), before the softmax.
            target: (B, 1, Z, Y, X), labels 0 to C - 1 of any number type; C where nobody judged.

        Raises:
            ValueError: If the shapes do not fit.
        """
        _check_target(logits, target)
        labels = target.long()[:, 0]
        num_classes = logits.shape[1]
        ignored = labels == num_classes
        some_ignored = bool(ignored.any())
        if some_ignored:
            labels = labels.masked_fill(ignored, 0)
        unknown = self.not_annotated
        if unknown is None:
            unknown = torch.zeros(logits.shape[:2], dtype=torch.bool, device=logits.device)
        else:
            # a contour of such a class, one that is not trusted, is background too
            rows = torch.arange(len(labels), device=labels.device)[:, None, None, None]
            labels = labels.masked_fill(unknown[rows, labels], 0)
        judged = labels
        if some_ignored:
            judged = labels[~ignored]
            labels = labels.masked_fill(ignored, -1)
        sums = _SoftmaxSums.apply(logits.float(), labels, unknown)
        predicted, intersection, log_own = sums
        loss = log_own.new_zeros(())
        if self.weight_dice:
            loss = loss + self.weight_dice * self._dice_loss(predicted, intersection, _volumes(judged, num_classes))
        if self.weight_ce:
            loss = loss - self.weight_ce * log_own / max(judged.numel(), 1)
        return loss

    def _dice_loss(self, predicted: torch.Tensor, intersection: torch.Tensor, volume: torch.Tensor) -> torch.Tensor:
        """Minus the mean Dice of the classes that count, from sums (C,) over batch and space."""
        dice = (2 * intersection + self.smooth) / (predicted + volume + self.smooth).clamp_min(1e-8)
        counts = torch.ones_like(volume, dtype=torch.bool) if self.include_absent else volume > 0
        if not self.include_background:
            counts[0] = False
        return -(dice * counts).sum() / counts.sum().clamp_min(1)


def _volumes(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Voxels (C,) of each class in labels of any shape."""
    return torch.bincount(labels.flatten(), minlength=num_classes).float()


class _SoftmaxSums(torch.autograd.Function):
    """All that the loss needs of a softmax, with the gradient in closed form.

    Autograd's own takes two to five times as long (scripts/benchmarks/loss.py). With
    p = softmax(z), voxels x, and q the p of a voxel's own class::

        predicted_c    = sum of p_c over x          d predicted_c / d z_k    = p_c ([c = k] - p_k)
        intersection_c = sum of q where c is own    d q / d z_k              = q ([k is own] - p_k)
        log_own        = sum of log q               d log q / d z_k          = [k is own] - p_k

    Classes that are unknown in a case belong to its background: their p is part of the background's q, and
    [k is own] becomes p_k / q for the classes that make up the background.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, labels: torch.Tensor, unknown: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sums over batch and space.

        Args:
            ctx: For ``backward``.
            logits: (B, C, Z, Y, X) float32.
            labels: (B, Z, Y, X) int64, 0 where a class is unknown in its case, -1 where a voxel counts nothing.
            unknown: (B, C) bool, False for the background.

        Returns:
            predicted (C,), intersection (C,), log_own ().
        """
        probabilities = logits.softmax(1)
        ignored = labels < 0
        ctx.some_ignored = bool(ignored.any())
        if ctx.some_ignored:
            probabilities = probabilities.masked_fill(ignored[:, None], 0)
            labels = labels.clamp_min(0)
        own = probabilities.gather(1, labels[:, None])[:, 0]
        predicted = probabilities.sum((2, 3, 4))
        for row, of_row in enumerate(unknown):
            if of_row.any():
                others = probabilities[row, of_row].sum(0)
                own[row] += others.masked_fill(labels[row] > 0, 0)
        predicted[:, 0] += (predicted * unknown).sum(1)
        predicted = predicted.masked_fill(unknown, 0).sum(0)
        ctx.save_for_backward(probabilities, own, labels, unknown, ignored)
        # one row of bins a slice: short float32 sums instead of one long one
        in_slices = labels.flatten(0, 1).flatten(1)
        bins = own.new_zeros(len(in_slices), logits.shape[1])
        intersection = bins.scatter_add(1, in_slices, own.flatten(0, 1).flatten(1)).sum(0)
        if ctx.some_ignored:
            own = own.masked_fill(ignored, 1)  # whose logarithm adds nothing
        return predicted, intersection, own.clamp_min(SMALLEST).log().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Gradient of the logits from those of the three sums."""
        of_predicted, of_intersection, of_log = gradients
        probabilities, own, labels, unknown, ignored = ctx.saved_tensors
        of_class = torch.where(unknown, of_predicted[0], of_predicted)  # (B, C)
        of_own = of_intersection[labels] * own + of_log  # times q
        if ctx.some_ignored:
            of_own = of_own.masked_fill(ignored, 0)
        shared = torch.einsum("bczyx,bc->bzyx", probabilities, of_class) + of_own
        gradient = of_class[:, :, None, None, None] - shared[:, None]
        gradient *= probabilities
        for row, of_row in enumerate(unknown):
            if of_row.any():
                _share_out_background(
                    gradient[row],
                    of_own[row],
                    probabilities=probabilities[row],
                    own=own[row],
                    labels=labels[row],
                    unknown=of_row,
                )
        gradient.scatter_add_(1, labels[:, None], of_own[:, None])
        return gradient, None, None


def _share_out_background(
    gradient: torch.Tensor,
    of_own: torch.Tensor,
    *,
    probabilities: torch.Tensor,
    own: torch.Tensor,
    labels: torch.Tensor,
    unknown: torch.Tensor,
) -> None:
    """Give the gradient of the background's q to the classes that make it up; takes it out of ``of_own``. In place."""
    in_background = labels == 0
    each = torch.where(in_background, of_own / own.clamp_min(SMALLEST), 0)
    of_own.masked_fill_(in_background, 0)
    gradient[0] += probabilities[0] * each
    for label in unknown.nonzero().flatten().tolist():
        gradient[label] += probabilities[label] * each


class HeatmapL2Loss(nn.Module):
    """Weighted mean squared error of heat maps.

    ``loss = mean(w (p - t)^2)``, ``w = 1 + foreground_weight * t``, over batch, maps and space,
    with targets t in [0, 1] that peak at 1. A Gaussian fills a small part of a patch, and plain
    L2 can collapse to an all-zero map; the weight raises the peak against the empty rest.

    Maps of targets whose place is unknown (``not_annotated``) count nothing.

    Args:
        foreground_weight: Extra weight at the peak; 0 is the paper's plain L2.
    """

    def __init__(self, foreground_weight: float = 0.0) -> None:
        super().__init__()
        if foreground_weight < 0:
            raise ValueError(f"foreground_weight: expected 0 or more, got {foreground_weight}")
        self.foreground_weight = foreground_weight
        self.not_annotated: torch.Tensor | None = None
        """(B, 1 + T) bool of the next batch, as in ``DiceCELoss``; None where every target is drawn or absent."""

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of predicted (B, T, Z, Y, X) against true heat maps of the same shape.

        A constant background channel of the prediction has to be cut off before.

        Raises:
            ValueError: If the shapes differ.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"expected prediction and target of one shape (B, T, Z, Y, X), got {tuple(prediction.shape)} "
                f"and {tuple(target.shape)}"
            )
        target = target.float()
        squared_error = (prediction.float() - target).square()
        if self.foreground_weight:
            squared_error = squared_error * (1 + self.foreground_weight * target)
        if self.not_annotated is not None:
            squared_error = squared_error * ~self.not_annotated[:, 1:, None, None, None]
        return squared_error.mean()


def _check_target(logits: torch.Tensor, target: torch.Tensor) -> None:
    expected = (logits.shape[0], 1, *logits.shape[2:])
    if logits.ndim != 5 or tuple(target.shape) != expected:
        raise ValueError(
            f"expected logits (B, C, Z, Y, X) and a target {expected}, got {tuple(logits.shape)} "
            f"and {tuple(target.shape)}"
        )
