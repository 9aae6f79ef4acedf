import json
import re

import SimpleITK as sitk
from html_report.cases import ODD

from soars_nnunet.html_report.prediction import prediction_page
from soars_nnunet.html_report.slices import DrawnOrgan
from soars_nnunet.html_report.viewer import VIEWS, viewer


def test_viewer_data_survive_hostile_names(small_case):
    text = prediction_page(*small_case)
    data = json.loads(re.search('<script type="application/json" id="viewer-data">(.*?)</script>', text).group(1))
    assert [organ["name"] for organ in data["organs"]] == ["Parotid_L", "Parotid_R", ODD]
    assert data["organs"][0]["center"] == [-19.0, 20.5, 41.0]  # x = -30 + 2 * 24.5 and y = -40 + 3 * 6.5, negated


def test_controls_offer_every_view_and_window(small_case, parse):
    labels, _, ct = small_case
    shown, scripts = viewer(sitk.ReadImage(str(ct)), sitk.ReadImage(str(labels)), [DrawnOrgan("a", 1, (1.0, 0.0, 0.5))])
    assert parse(shown).open == [] and shown.count('aria-pressed="true"') == 1
    assert set(re.findall('data-view="(.*?)"', shown)) == set(VIEWS.values())
    assert shown.count("<option") == 3 and "soft tissue (-160 to 240 HU)" in shown
    data = json.loads(re.search('id="viewer-data">(.*?)</script>', scripts).group(1))
    assert data["organs"][0]["rgb"] == [255, 0, 128] and set(data["windows"]) == {"soft tissue", "bone", "brain"}
