"""Split OpenKBP's cases for reproduce_openkbp.sh: links to their files, every fifth complete case as a test case.

    python -m scripts.experiments.openkbp_dataset RAW COMPLETE [PARTIAL]

RAW is the folder of the dataset that is made. COMPLETE and PARTIAL are raw nnU-Net datasets. All cases of
PARTIAL train.
"""

import argparse
from pathlib import Path

from scripts.experiments.raw_datasets import cases_of
from soars_nnunet.cascade.storage import read_json, write_json

TEST_EVERY, FIRST_TEST = 5, 2
"""Of the sorted complete cases, the third of every five is a test case."""
TRAINING, TEST = "Tr", "Ts"
"""How nnU-Net's folders of the two parts end."""
ENDING = ".nii.gz"


def part_of(index: int) -> str:
    """Whether a complete case, by its place among the sorted ones, trains or tests."""
    return TEST if index % TEST_EVERY == FIRST_TEST else TRAINING


def link_case(raw: Path, dataset: Path, case: str, part: str) -> None:
    """Link the image and the labels of a case into a part of the new dataset, unless they are there."""
    for kind, name in (("images", f"{case}_0000{ENDING}"), ("labels", f"{case}{ENDING}")):
        link = raw / f"{kind}{part}" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(dataset.resolve() / f"{kind}{TRAINING}" / name)


def make_dataset(raw: Path, complete: Path, partial: Path | None) -> tuple[int, int]:
    """Link all cases and write dataset.json.

    Returns:
        Number of training and of test cases.
    """
    for index, case in enumerate(cases_of(complete)):
        link_case(raw, complete, case, part_of(index))
    if partial is not None:
        for case in cases_of(partial):
            link_case(raw, partial, case, TRAINING)
    training = len(list((raw / f"labels{TRAINING}").iterdir()))
    test = len(list((raw / f"labels{TEST}").iterdir()))
    facts = read_json(complete / "dataset.json")
    write_json(raw / "dataset.json", facts | {"numTraining": training})
    return training, test


def main() -> None:
    """Parse, link, say how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, metavar="RAW")
    parser.add_argument("complete", type=Path, metavar="COMPLETE")
    parser.add_argument("partial", type=Path, nargs="?", metavar="PARTIAL")
    options = parser.parse_args()
    training, test = make_dataset(options.raw, options.complete, options.partial)
    print(f"{training} training cases, {test} test cases")


if __name__ == "__main__":
    main()
