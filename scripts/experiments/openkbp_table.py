#!/usr/bin/env python
"""DSC, HD and ASD by organ of three ways to predict OpenKBP's test cases; the last step of reproduce_openkbp.sh.

    python -m scripts.experiments.openkbp_table OUT

Reads OUT/final, OUT/cascade and OUT/ct_only, each with its evaluation.json, and prints Markdown.
"""

import argparse
from pathlib import Path

from scripts import markdown
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.evaluation.mean_std import MISSING, format_number
from soars_nnunet.evaluation.scores import SummaryRow

VARIANTS = {"final": "final", "cascade": "as predicted", "ct_only": "CT only"}
"""Heading of each prediction by its folder."""
DIGITS = {"dsc": 3, "hd_mm": 1, "asd_mm": 2}
"""Decimals of the metrics."""


def cells(row: SummaryRow) -> list[str]:
    """Means of one organ."""
    return [format_number(row.summary(metric).mean, digits) for metric, digits in DIGITS.items()]


def table(output: Path) -> list[str]:
    """Markdown, a row an organ; CT only is another network in the mid-level tier alone.

    Args:
        output: Folder of the predictions.
    """
    header = ["organ"]
    rows: dict[str, list[str]] = {}
    for folder, title in VARIANTS.items():
        header += [f"{title} DSC", "HD mm", "ASD mm"]
        for row in read_evaluation(output / folder).per_organ():
            shown = rows.setdefault(row.name, [row.name])
            same = folder == "ct_only" and row.tier != "mid_level"
            shown += [MISSING] * len(DIGITS) if same else cells(row)
    return markdown.table(header, rows.values())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="holds the folders final, cascade and ct_only")
    print()
    print("\n".join(table(parser.parse_args().output)))


if __name__ == "__main__":
    main()
