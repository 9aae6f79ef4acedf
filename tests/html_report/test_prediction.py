import shutil

import SimpleITK as sitk
from html_report.cases import ODD

from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import report as report_command
from soars_nnunet.html_report import page as page_module
from soars_nnunet.html_report.prediction import prediction_page


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
    assert read.rows["Lens_L"] == [("4", "anchor", "0.00", "not found", "–")]
    assert "<script>alert(1)</script>" in read.text and read.tags.count("script") == 3  # the viewer's


def test_volumes_far_outside_those_of_training_are_marked(small_case, parse):
    report = small_case[1]
    data = read_json(report)
    data["organs"]["Parotid_L"].update(training_ml=[15.0, 40.5], volume_flag="far_below_training")
    write_json(report, data)
    read = parse(prediction_page(*small_case))
    assert read.rows["Parotid_L"] == [("1", "anchor", "5.18 far below training (15 to 40.5)", "found", "0.75")]
    assert read.rows[ODD] == [("3", "anchor", "4.61", "found", "0.75")]


def test_no_reference_leaves_the_page(small_case, parse):
    text = prediction_page(*small_case)
    read = parse(text)
    assert all(link.startswith("data:") for link in read.links) and "link" not in read.tags
    own = text.replace(page_module.package_text("niivue.umd.js"), "").replace("http-equiv", "")
    own = own.replace(page_module.package_text("niivue.LICENSES.txt"), "")
    assert "http" not in own and "default-src 'none'" in own


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
    assert "expected the keys label, status, volume_ml" in refused(capsys, "-p", labels, "-i", ct)
    report.unlink()
    assert "a.json" in refused(capsys, "-p", labels, "-i", ct)
    assert not labels.with_name("a.html").exists()


def _folder(path):
    path.mkdir(parents=True)
    return path.parent


def test_targets_models_and_versions_are_shown(small_case, parse):
    report = read_json(small_case[1])
    report["targets"] = {
        "Ear <L>": {"status": "low_confidence", "center_mm": [1.0, 2.346, 3.0], "peak": 0.5},
        "Pineal": {"status": "absent", "center_mm": None},
    }
    report |= {"models": {"anchor": {"name": "X", "folds": [0, 1]}}, "largest_part": ["A", "B"]}
    write_json(small_case[1], {**report, "provenance": {"torch": "2"}, "seconds": {"anchor": 1.5}})
    read = parse(prediction_page(*small_case))
    assert read.rows["Ear <L>"] == [("low confidence", "1.00, 2.35, 3.00", "0.50")]
    assert read.rows["Pineal"] == [("absent", "–", "–")]
    for text in ("anchor modelX, folds 0, 1", "largest part ofA, B", "versionstorch 2", "secondsanchor 1.5"):
        assert text in read.text
