#!/usr/bin/env python
"""Which part of a trained network still works: size of each convolution's weights, and filters that have died.

    python -m scripts.experiments.dead_filters openkbp7

Opens a bundle by name or path. A filter counts as dead where its norm is below a hundredth of the largest of its
convolution. The scores of the blocks are summed, so that a block whose scores have no weight adds nothing.
"""

import argparse
from collections.abc import Iterator

import torch

from scripts import markdown
from soars_nnunet.bundles.open import open_bundle

DEAD = 0.01
"""Share of the largest norm."""
HEADER = ["branch", "fold", "weights", "deviation", "dead filters"]


def dead_filters(kernel: torch.Tensor) -> int:
    """Filters of a convolution (out, in, Z, Y, X) whose norm is below a hundredth of the largest; all if all are 0."""
    norms = kernel.flatten(1).norm(dim=1)
    if not norms.any():
        return len(norms)
    return int((norms < DEAD * norms.max()).sum())


def rows(name: str) -> Iterator[list[str]]:
    """A row a convolution."""
    bundle = open_bundle(name)
    for key in bundle.manifest.branches:
        model = bundle.branch(key)
        for fold in model.folds:
            for weight, tensor in sorted(model.weights(fold).items()):
                if tensor.ndim == 5:
                    dead = f"{dead_filters(tensor)} of {len(tensor)}"
                    yield [key, str(fold), weight.removesuffix(".weight"), f"{float(tensor.std()):.1e}", dead]


def main() -> None:
    """Parse, open, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="name or path")
    print("\n".join(markdown.table(HEADER, rows(parser.parse_args().bundle))))


if __name__ == "__main__":
    main()
