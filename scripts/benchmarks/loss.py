"""Time of the segmentation loss against autograd's own gradient of the same formula.

python -m scripts.benchmarks.loss [--patch 64 48 48]

Four outputs of a batch of two, seven organs, one thread. In the second row two organs are not annotated in one case.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from soars_nnunet.training.losses import DiceCELoss

NUM_CLASSES = 8
OUTPUTS = 4
REPEATS = 5
SMOOTH = 1e-5

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def autograd_loss(logits: torch.Tensor, target: torch.Tensor, unknown: torch.Tensor) -> torch.Tensor:
    """Dice and cross entropy from logits (B, C, Z, Y, X); unknown (B, C) classes count with the background."""
    masked = unknown[:, :, None, None, None]
    joined = masked.clone()
    joined[:, 0] = True
    log_probabilities = logits.log_softmax(1)
    background = log_probabilities.masked_fill(~joined, -torch.inf).logsumexp(1, keepdim=True)
    others = log_probabilities[:, 1:].masked_fill(masked[:, 1:], -torch.inf)
    log_probabilities = torch.cat((background, others), 1)
    labels = target.long()
    labels = labels.masked_fill(masked.expand_as(logits).gather(1, labels), 0)
    one_hot = functional.one_hot(labels[:, 0], NUM_CLASSES).movedim(-1, 1)
    probabilities = log_probabilities.exp()
    overlap = (probabilities * one_hot).sum((0, 2, 3, 4))
    volume = one_hot.sum((0, 2, 3, 4))
    dice = (2 * overlap + SMOOTH) / (probabilities.sum((0, 2, 3, 4)) + volume + SMOOTH)
    return -dice[1:].mean() - log_probabilities.gather(1, labels).mean()


def seconds_of(loss: Loss, target: torch.Tensor) -> float:
    """Shortest time of loss and gradient of all outputs."""
    best = float("inf")
    for _ in range(REPEATS):
        outputs = []
        for _ in range(OUTPUTS):
            outputs.append(torch.randn(len(target), NUM_CLASSES, *target.shape[2:], requires_grad=True))
        began = time.perf_counter()
        torch.stack([loss(output, target) for output in outputs]).sum().backward()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    """Parse, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, nargs=3, default=[64, 48, 48], metavar=("Z", "Y", "X"))
    patch = parser.parse_args().patch
    torch.set_num_threads(1)
    torch.manual_seed(0)
    target = torch.randint(0, NUM_CLASSES, (2, 1, *patch)).float()
    everything = torch.zeros(2, NUM_CLASSES, dtype=torch.bool)
    two_unknown = everything.clone()
    two_unknown[0, -2:] = True
    print("| not annotated | autograd, s | this loss, s | ratio |\n|---|---|---|---|")
    for name, unknown in (("nothing", everything), ("two organs of one case", two_unknown)):
        ours = DiceCELoss()
        ours.not_annotated = unknown if unknown.any() else None
        theirs = seconds_of(lambda logits, labels, unknown=unknown: autograd_loss(logits, labels, unknown), target)
        own = seconds_of(ours, target)
        print(f"| {name} | {theirs:.3f} | {own:.3f} | {own / theirs:.2f} |")


if __name__ == "__main__":
    main()
