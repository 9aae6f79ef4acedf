"""Losses, seconds a step and time left, from the log of a training on standard input.

    tail -f LOG | python -m scripts.training_progress PLANS --name "fold 0"

PLANS is the plans JSON that the training follows; its settings say how many epochs and steps there are.
"""

import argparse
import re
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from soars_nnunet.cascade.plans_file import PlansFile

MAX_WIDTH = 120
"""Characters of a line."""
RECENT = 5
"""Epochs that say how long the next ones take."""
STAMP = re.compile(r"^[0-9: .-]+")
"""Date and time that begin nnU-Net's lines."""
EPOCH = re.compile(r"^Epoch (\d+)\s*$")
EPOCH_TIME = re.compile(r"^Epoch time: ([0-9.]+) s")
SHOWN = ("train_loss", "Pseudo dice")
NUMPY = re.compile(r"np\.float(?:32|64)\(([^)]*)\)")


@dataclass
class Training:
    """Where a training is.

    Attributes:
        epochs: How many it has.
        steps: In an epoch.
        epoch: The one that runs, from 0.
        seconds: Of the epochs seen.
    """

    epochs: int
    steps: int
    epoch: int = 0
    seconds: list[float] = field(default_factory=list)

    def after_epoch(self, seconds: float) -> str:
        """What is said when an epoch ends: its time, and how long the others will take."""
        self.seconds.append(seconds)
        done = self.epoch + 1
        text = f"epoch {done} of {self.epochs}: {seconds:.1f} s, {seconds / self.steps:.2f} s a step"
        left_s = (self.epochs - done) * statistics.median(self.seconds[-RECENT:])
        return f"{text}; {duration(left_s)} left" if left_s else text


def duration(seconds: float) -> str:
    """A time to read: minutes below two hours, else hours."""
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def progress(log: Iterable[str], training: Training) -> Iterator[str]:
    """What is shown of a log.

    Args:
        log: Its lines.
        training: Where the training is; followed.
    """
    for line in log:
        text = STAMP.sub("", line.rstrip())
        if begun := EPOCH.match(text):
            training.epoch = int(begun.group(1))
        elif ended := EPOCH_TIME.match(text):
            yield training.after_epoch(float(ended.group(1)))
        elif text.startswith(SHOWN):
            yield NUMPY.sub(r"\1", text)[:MAX_WIDTH]


def logged_seconds(logs: Iterable[Path]) -> float:
    """Seconds of all epochs in nnU-Net's logs of one training; a training that was resumed has several."""
    seconds = 0.0
    for log in logs:
        for line in log.read_text(encoding="utf-8").splitlines():
            if ended := EPOCH_TIME.match(STAMP.sub("", line)):
                seconds += float(ended.group(1))
    return seconds


def main() -> None:
    """Parse; show what is new until the log ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", type=Path, metavar="PLANS")
    parser.add_argument("--name", default="", help="what every line begins with")
    options = parser.parse_args()
    settings = PlansFile.read(options.plans).settings
    training = Training(settings.num_epochs, settings.iterations_per_epoch or 1)
    for text in progress(sys.stdin, training):
        print(f"  {options.name}  {text}", flush=True)


if __name__ == "__main__":
    main()
