import re

import numpy as np
import SimpleITK as sitk
from html_report.cases import image_of

from soars_nnunet.html_report.prediction import prediction_page
from soars_nnunet.html_report.slices import DrawnOrgan, slice_figures, swatch


def test_slices_name_the_organs_that_they_show(small_case, parse):
    text = prediction_page(*small_case)
    captions = [re.sub("<[^>]+>", " ", part) for part in re.findall("<figcaption>(.*?)</figcaption>", text)]
    assert len(captions) == 4 and all(re.search(r"slice \d+ of (20|24|32)", caption) for caption in captions)
    first, second = captions[:2]  # head first
    assert "slice 1" in first and "Gland" in first and "Parotid" not in first
    assert "Parotid_L" in second and "Parotid_R" in second and "Gland" not in second


def test_air_around_the_patient_is_cut_off_but_counted():
    ct_hu = np.full((12, 10, 10), -1000, np.int16)
    ct_hu[6:10, 2:8, 3:7] = 0
    labels = np.zeros(ct_hu.shape, np.uint8)
    labels[7, 4, 4] = 1
    text = slice_figures(image_of(ct_hu), image_of(labels), [DrawnOrgan("<x>", 1, (1.0, 0.0, 0.0))])
    titles = re.findall("<b>(.*?)</b>", text)
    assert titles == ["axial slice 8 of 12", "coronal slice 5 of 10", "sagittal slice 5 of 10"]
    assert text.count("&lt;x&gt;") == 3


def test_scans_of_air_are_drawn_whole():
    air = image_of(np.full((4, 6, 8), -1000, np.int16))
    text = slice_figures(air, sitk.Cast(air > 0, sitk.sitkUInt8), [])
    assert re.findall("<b>(.*?)</b>", text) == ["axial slice 3 of 4", "coronal slice 4 of 6", "sagittal slice 5 of 8"]


def test_swatches_have_the_color_in_hexadecimal():
    assert "background:#ff0080" in swatch((1.0, 0.0, 0.5))
