"""The page opened from file:// in headless Chromium: NiiVue draws, nothing is logged, nothing is asked of a network."""

import json
import os
import re
import shutil
import subprocess

import matplotlib.image
import numpy as np
import pytest

from soars_nnunet.html_report import prediction
from soars_nnunet.html_report.page import write_page
from soars_nnunet.html_report.prediction import prediction_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; on Debian: apt-get install chromium")

SWITCHES = (
    "--headless --no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader --hide-scrollbars "
    "--window-size=1000,800 --virtual-time-budget=10000 --enable-logging=stderr"
).split()

CANVAS_ALONE = """
main > *, footer { display: none; }
main > section:has(#viewer), #viewer { display: block; }
#viewer .canvas { position: fixed; inset: 0; z-index: 1; }
</style>"""

PROBE = """<script>addEventListener("load", () => {
  const viewer = document.getElementById("viewer");
  const timer = setInterval(() => {
    if (viewer.dataset.state === "loading") return;
    clearInterval(timer);
    BEFORE
    viewer.dataset.place = document.getElementById("place").textContent;
  }, 50);
});</script></body></html>"""


def open_page(path, *more):
    """(DOM after scripts, console lines, URLs that the page asked for, RGB screenshot)."""
    folder = path.parent
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    command = [CHROMIUM, *SWITCHES, *more, f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    command += [f"--screenshot={folder / 'shot.png'}", f"--log-net-log={folder / 'net.json'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console, requests(folder / "net.json"), matplotlib.image.imread(folder / "shot.png")[..., :3]


def requests(path):
    """URLs that pages (not the browser itself) asked for, from Chromium's network log."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [json.loads(line.rstrip(",")) for line in lines if '"initiator"' in line and '"url"' in line]
    found = [(event["params"]["initiator"], event["params"]["url"]) for event in starts]
    return [url for initiator, url in found if initiator != "not an origin" and url.startswith(("http", "ws"))]


def state_of(dom):
    return re.search('id="viewer"[^>]*data-state="([a-z]+)"', dom).group(1)


def redness(shot):
    return (shot[..., 0] > 0.3) & (shot[..., 0] > shot[..., 1] + 0.15) & (shot[..., 0] > shot[..., 2] + 0.15)


@pytest.fixture
def page(small_case, tmp_path, monkeypatch):
    def colors(labels):
        """The first organ's is red: Parotid_L, on the patient's left, in front."""
        return {name: (0.0, 1.0, 0.0) if i else (1.0, 0.05, 0.05) for i, name in enumerate(labels)}

    monkeypatch.setattr(prediction, "drawn_colors", colors)

    def write(before):
        path = tmp_path / "page with space.html"
        text = prediction_page(*small_case).replace("</style>", CANVAS_ALONE, 1)
        write_page(path, text.removesuffix("</body></html>\n") + PROBE.replace("BEFORE", before))
        return path

    return write


HIDE_ALL = 'document.getElementById("none").click();'
HIDE_OTHERS = 'document.querySelectorAll("#organs input").forEach((box, i) => { if (i) box.click(); });'


def test_axial_view_shows_the_organ_on_its_side(page):
    jump = 'document.querySelector("#organs .jump").click();'
    view = "document.querySelector(\"[data-view='axial']\").click();"
    dom, console, urls, shot = open_page(page(HIDE_OTHERS + jump + view))
    assert state_of(dom) == "ready" and console == [] and urls == []
    assert re.search('data-place="Parotid_L; about (3[5-9]|4[0-5]) HU; LPS 19.0, -20.5, 41.0 mm"', dom), dom[-500:]
    organ = redness(shot) & (shot[..., 1] > 0.15)  # half over gray; the crosshair is pure red
    gray = (np.ptp(shot, axis=-1) < 0.02) & (shot[..., 0] > 0.3) & (shot[..., 0] < 0.9)
    assert gray.mean() > 0.1 and 0.01 < organ.mean() < 0.2
    (organ_y, organ_x), (body_y, body_x) = (np.argwhere(mask).mean(0) for mask in (organ, gray))
    assert organ_x > body_x + 50 and organ_y < body_y - 50  # the patient's left is on the right, the front up


@pytest.mark.parametrize(("choice", "low", "high"), [(HIDE_OTHERS, 0.002, 0.3), (HIDE_ALL, -1, 1e-5)])
def test_3d_view_shows_the_chosen_organs_alone(page, choice, low, high):
    view = "document.querySelector(\"[data-view='render']\").click();"
    dom, console, urls, shot = open_page(page(choice + view))
    assert (state_of(dom), console, urls) == ("ready", [], [])
    assert low < redness(shot).mean() < high
    assert low < (shot > 0.3).any(axis=-1).mean() < high + 0.01  # no skin; orientation letters may be drawn


def test_without_webgl_the_page_says_so(page):
    dom, _, urls, _ = open_page(page(""), "--disable-3d-apis")
    assert state_of(dom) == "failed" and "needs WebGL 2" in dom and urls == []


def test_the_net_log_would_show_a_request(tmp_path):
    path = tmp_path / "calling.html"
    path.write_text('<!DOCTYPE html><p id="viewer" data-state="x"><img src="http://127.0.0.1:9/picture.png">')
    assert open_page(path)[2] == ["http://127.0.0.1:9/picture.png"]
