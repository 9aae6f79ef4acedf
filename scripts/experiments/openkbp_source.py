"""Find OpenKBP's training and validation patients for reproduce_openkbp.sh; its test patients are not touched.

    python -m scripts.experiments.openkbp_source SOURCE LINKS RAW

SOURCE is the public repository, whose two folders of patients are linked into LINKS for soars-import, or a raw
dataset that soars-import wrote, whose training part is linked as RAW. A patient above 240 in either is refused.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

PARTS = ("train-pats", "validation-pats")
"""Folders of the public repository with the patients that may train; test-pats lies beside them."""
TRAINING_PART = ("dataset.json", "cases.json", "imagesTr", "labelsTr")
"""What a raw dataset has of cases that train."""
LAST_PATIENT = 240
"""OpenKBP's patients 241 to 340 are its published test patients: nobody's to train, tune or choose on."""
PATIENT = re.compile(r"^(?:pt|openkbp)_0*(\d+)(?!\d)")
"""Number of the patient in a name of the public repository or of a dataset."""


class SourceError(Exception):
    """The source is not one that may be used; the message says why."""


def test_patients(names: Iterable[str]) -> list[int]:
    """Published test patients among names of files or folders, ascending; each once."""
    found = set()
    for name in names:
        match = PATIENT.match(name)
        if match and int(match.group(1)) > LAST_PATIENT:
            found.add(int(match.group(1)))
    return sorted(found)


def require_no_test_patients(folder: Path) -> None:
    """Check the names in a folder.

    Raises:
        SourceError: If one is a published test patient's.
    """
    found = test_patients(path.name for path in folder.iterdir())
    if found:
        listed = ", ".join(str(number) for number in found[:5])
        raise SourceError(
            f"{folder}: expected patients up to {LAST_PATIENT}, got {len(found)} of OpenKBP's test patients "
            f"({listed}); move them away: they are not to train, tune or choose on"
        )


def find_parts(source: Path) -> list[Path]:
    """Folders of the public repository's patients that may train; empty where the source is something else."""
    for root in (source, source / "provided-data"):
        parts = [root / part for part in PARTS]
        if all(part.is_dir() for part in parts):
            return parts
    return []


def prepare(source: Path, links: Path, raw: Path) -> str:
    """Link what may train, for soars-import or as a raw dataset.

    Returns:
        What was found.

    Raises:
        SourceError: If the source is neither of the two, holds test patients among those that train, or is another
            one than that of the run which is to go on.
    """
    parts = find_parts(source)
    if parts:
        for part in parts:
            require_no_test_patients(part)
            link(part, links / part.name)
        return f"{source}: the public repository; {' and '.join(PARTS)} are read"
    missing = [name for name in TRAINING_PART if not (source / name).exists()]
    if missing:
        raise SourceError(
            f"{source}: expected the open-kbp repository with {' and '.join(PARTS)}, or a raw dataset of soars-import; "
            f"of the latter it lacks {', '.join(missing)}"
        )
    for name in ("imagesTr", "labelsTr"):
        require_no_test_patients(source / name)
    for name in TRAINING_PART:
        link(source / name, raw / name)
    return f"{source}: a raw dataset; its training part is read"


def link(target: Path, path: Path) -> None:
    """Link a file or folder, unless that is done.

    Raises:
        SourceError: If something else lies there, of a run with another source.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() and not path.is_symlink():
        path.symlink_to(target.resolve())
    elif path.resolve() != target.resolve():
        raise SourceError(
            f"{path}: expected a link to {target}, got {path.resolve()} of another source; "
            "choose another REPRODUCTION_OUTPUT"
        )


def main() -> None:
    """Parse, link, say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "links", "raw"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    options = parser.parse_args()
    try:
        print(prepare(options.source, options.links, options.raw))
    except SourceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
