"""A tiny case as soars-cascade-predict leaves it: labels, report and CT; one organ has a name that HTML must escape."""

from dataclasses import asdict

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from soars_nnunet.cascade.storage import write_json
from soars_nnunet.prediction.report import organ_rows
from soars_nnunet.profile import Organ

ODD = "<i>Gland</i> & $x$"
NAMES = ("Parotid_L", "Parotid_R", ODD, "Lens_L")
SPACING_MM = (4.0, 3.0, 2.0)


def image_of(array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_MM[::-1])
    image.SetOrigin((-30.0, -40.0, 7.0))
    return image


@pytest.fixture
def small_case(tmp_path):
    """(label file, report, CT) of 20 x 24 x 32 voxels; the patient's left is at high X, the front at low Y."""
    ct_hu = np.full((20, 24, 32), -1000, np.int16)
    ct_hu[1:19, 2:22, 2:30] = 40
    labels = np.zeros(ct_hu.shape, np.uint8)
    labels[6:12, 4:10, 22:28], labels[6:12, 4:10, 4:10], labels[14:17, 12:20, 12:20] = 1, 2, 3
    organs = [Organ(name, label, name, "anchor") for label, name in enumerate(NAMES, 1)]
    rows = organ_rows(
        torch.from_numpy(labels), SPACING_MM, organs, {}, tiers={"anchor": _sure(torch.from_numpy(labels))}
    )
    for folder, array, name in ((tmp_path / "ct", ct_hu, "a_0000"), (tmp_path / "out", labels, "a")):
        folder.mkdir()
        sitk.WriteImage(image_of(array), str(folder / f"{name}.nii.gz"))
    report = {
        "case": "a",
        "profile": "p",
        "organs": {name: asdict(row) for name, row in rows.items()},
        "warnings": ["<script>alert(1)</script>"],
    }
    write_json(tmp_path / "out" / "a.json", report)
    return tmp_path / "out" / "a.nii.gz", tmp_path / "out" / "a.json", tmp_path / "ct" / "a_0000.nii.gz"


def _sure(labels):
    from soars_nnunet.geometry.stitch import Candidate

    return Candidate(labels, torch.full(labels.shape, 0.75))


class Parsed:
    """What a browser would make of a page: rows by their first cell, tags, and text outside scripts."""

    def __init__(self, text):
        from html.parser import HTMLParser

        self.rows, self.tags, self.text, self.links, self.open = {}, [], "", [], []
        outer, cells, inside = self, [], []

        class Reader(HTMLParser):
            def handle_starttag(self, tag, attributes):
                outer.tags.append(tag)
                outer.links += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]
                if tag not in ("meta", "img", "br", "input", "link"):
                    inside.append(tag)
                if tag == "tr":
                    cells.clear()
                if tag in ("td", "th"):
                    cells.append("")

            def handle_endtag(self, tag):
                assert inside.pop() == tag
                if tag == "tr" and cells:
                    outer.rows.setdefault(cells[0], []).append(tuple(cells[1:]))

            def handle_data(self, data):
                if inside and inside[-1] not in ("script", "style"):
                    outer.text += data
                    if cells and {"td", "th"} & set(inside):
                        cells[-1] += data

        reader = Reader()
        reader.feed(text)
        reader.close()
        self.open = inside


@pytest.fixture
def parse():
    return Parsed
