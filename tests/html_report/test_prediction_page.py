import json
import re
import shutil

import pytest
import SimpleITK as sitk

from soars_nnunet.cli import report as report_command
from soars_nnunet.html_report import page as page_module
from soars_nnunet.html_report.page import write_page
from soars_nnunet.html_report.prediction import prediction_page
from soars_nnunet.html_report.viewer import NIIVUE_VERSION

ODD = "<i>Gland</i> & $x$"


def refused(capsys, *arguments):
    assert report_command.main([str(argument) for argument in arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


def test_every_organ_has_its_row(small_case, parse):
    read = parse(prediction_page(*small_case))
    assert read.open == []
    assert read.rows["Parotid_L"] == [("1", "anchor", "5.18", "found", "0.75")]  # 6 x 6 x 6 voxels of 24 cubic mm
    assert read.rows[ODD] == [("3", "anchor", "4.61", "found", "0.75")]
    assert read.rows["Lens_L"] == [("4", "anchor", "0.00", "absent", "–")]
    assert "<script>alert(1)</script>" in read.text
    assert read.tags.count("script") == 3  # the viewer's data, library and own code; not the warning


def test_slices_name_the_organs_that_they_show(small_case, parse):
    text = prediction_page(*small_case)
    captions = [re.sub("<[^>]+>", " ", part) for part in re.findall("<figcaption>(.*?)</figcaption>", text)]
    assert len(captions) == 4 and all(re.search(r"slice \d+ of (20|24|32)", caption) for caption in captions)
    first, second = captions[:2]  # head first
    assert "slice 1" in first and "Gland" in first and "Parotid" not in first
    assert "Parotid_L" in second and "Parotid_R" in second and "Gland" not in second


def test_no_reference_leaves_the_page(small_case, parse):
    text = prediction_page(*small_case)
    read = parse(text)
    assert all(link.startswith("data:") for link in read.links) and "link" not in read.tags
    own = text.replace(page_module.package_text("niivue.umd.js"), "").replace("http-equiv", "")
    own = own.replace(page_module.package_text("niivue.LICENSES.txt"), "")
    assert "http" not in own and "default-src 'none'" in own


def test_viewer_data_survive_hostile_names(small_case):
    text = prediction_page(*small_case)
    data = json.loads(re.search('<script type="application/json" id="viewer-data">(.*?)</script>', text).group(1))
    assert [organ["name"] for organ in data["organs"]] == ["Parotid_L", "Parotid_R", ODD]
    assert data["organs"][0]["center"] == [-19.0, 20.5, 41.0]  # x = -30 + 2 * 24.5 and y = -40 + 3 * 6.5, negated


def test_vendored_library_is_whole_and_licensed():
    library, licences = (page_module.package_text(f"niivue.{end}") for end in ("umd.js", "LICENSES.txt"))
    assert "</script" not in library and library.rstrip().endswith("});")
    assert f"NiiVue {NIIVUE_VERSION}" in licences and "BSD 2-Clause License" in licences and "*/" not in licences


def test_a_folder_gives_a_page_a_case(small_case, capsys):
    labels, report, ct = small_case
    for path, name in ((labels, "b.nii.gz"), (report, "b.json"), (ct, "b.nii.gz")):
        shutil.copyfile(path, path.with_name(name))
    pages = labels.parent.parent / "pages"
    assert report_command.main(["-p", str(labels.parent), "-i", str(ct.parent), "-o", str(pages)]) == 0
    assert sorted(path.name for path in pages.iterdir()) == ["a.html", "b.html"]
    assert capsys.readouterr().out.count(" MB)") == 2


def test_a_file_is_reported_beside_its_labels(small_case, capsys):
    labels, _, ct = small_case
    assert report_command.main(["-p", str(labels), "-i", str(ct)]) == 0
    assert labels.with_name("a.html").is_file()


def test_bad_predictions_are_one_line(small_case, tmp_path, capsys):
    labels, report, ct = small_case
    assert "add -i" in refused(capsys, "-p", labels)
    assert "leave it out" in refused(capsys, "-e", report, "-i", ct)
    assert "not valid JSON" not in refused(capsys, "-e", report)
    moved = sitk.ReadImage(str(ct))
    moved.SetOrigin((0.0, 0.0, 0.0))
    sitk.WriteImage(moved, str(tmp_path / "a.nii.gz"))
    assert "on the grid of" in refused(capsys, "-p", labels, "-i", tmp_path / "a.nii.gz")
    (tmp_path / "empty").mkdir()
    assert "expected CT files" in refused(capsys, "-p", labels, "-i", tmp_path / "empty")
    shutil.copyfile(ct, tmp_path / "empty" / "other.nii.gz")
    assert "none for a" in refused(capsys, "-p", labels.parent, "-i", tmp_path / "empty")
    assert "name a file in it" in refused(capsys, "-p", labels, "-i", ct, "-o", _folder(tmp_path / "x" / "a.html"))
    report.write_text('{"organs": {"Brainstem": {}}}')
    assert "report of soars-cascade-predict" in refused(capsys, "-p", labels, "-i", ct)
    report.unlink()
    assert "a.json" in refused(capsys, "-p", labels, "-i", ct)
    assert not labels.with_name("a.html").exists()


def _folder(path):
    path.mkdir(parents=True)
    return path.parent


def test_a_failed_write_leaves_the_former_page(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    write_page(path, "old")

    def broken(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(ValueError, match="disk full"):
        write_page(path, "new")
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["r.html"]
