"""The dataset that an import writes: report, reruns, refusals, the command."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from published_layouts import found, names, organ, write, write_masks, write_pddca, written

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cli import import_set as import_set_command
from soars_nnunet.errors import InputError
from soars_nnunet.importing.dataset import ImportOptions, import_set
from soars_nnunet.importing.public_sets import load_set
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify

pytestmark = pytest.mark.usefixtures("nnunet_folders")


def test_stratify_takes_an_import_with_its_list(pddca, nnunet_folders):
    done = import_set(load_set("pddca", ["test=all15"]), pddca, 501)
    result = stratify(
        501, load_profile("miccai2015"), StratifyOptions(num_folds=2, not_annotated=done.folder / "cases.json")
    )
    assert result.unknown == result.absent == [] and result.assumed == result.unused == {}
    assert result.not_annotated == {"0522c0002": ["Glnd_Submand_L", "Glnd_Submand_R"], "0522c0330": ["Bone_Mandible"]}


def test_numbers_and_files_that_differ_are_told(pddca, phantom):
    case = pddca / "PDDCA-1.4.1_part1/0522c0002"
    write(case / "structures" / "Tumor.nrrd", organ(phantom, "Larynx"), phantom)
    (case / "plan.bin").write_bytes(b"?")
    (case / ".DS_Store").write_bytes(b"?")
    (case / "structures" / "._BrainStem.nrrd").write_bytes(b"?")
    done = import_set(load_set("pddca"), pddca, 501)
    assert found(done, "foreign") == [("PDDCA-1.4.1_part1/0522c0002/plan.bin", None)]
    assert found(done, "unknown") == [("Tumor", "0522c0002")]
    assert found(done, "numbering") == [
        ("test_offsite: 10 cases are published, 1 are there", None),
        ("test_onsite: 5 cases are published, 1 are there", None),
        ("train: 25 cases are published, 2 are there", None),
        ("train_optional: 8 cases are published, 1 are there", None),
    ]
    assert found(done, "missing") == [
        ("Bone_Mandible", "0522c0330"),
        ("Glnd_Submand_L", "0522c0002"),
        ("Glnd_Submand_R", "0522c0002"),
        ("OpticChiasm", "0522c0788"),
    ]
    report = read_json(done.folder / "import_report.json")
    assert {finding["kind"] for finding in report["findings"]} == {"foreign", "unknown", "numbering", "missing"}
    text = (done.folder / "import_report.txt").read_text()
    assert "Tumor: 1 case(s) (0522c0002)" in text and "plan.bin" in text


def test_a_case_in_two_places_and_a_ct_that_is_none_are_left_out(tmp_path, phantom):
    for case in ("p1", "p2", "p3"):
        write_masks(tmp_path / "clinic", phantom, case)
    shutil.copytree(tmp_path / "clinic/p1", tmp_path / "clinic/copy/p1")
    write(tmp_path / "clinic/p2/image.nii.gz", phantom.labels, phantom)
    write_masks(tmp_path / "clinic", phantom, "p4", organs=())
    done = import_set(load_set("masks"), tmp_path / "clinic", 509)
    assert set(done.cases) == {"p3"} and set(done.refused) == {"p1", "p2", "p4"}
    assert "expected one CT" in done.refused["p1"] and "label map" in done.refused["p2"]
    assert "no contour" in done.refused["p4"]


def test_a_rerun_keeps_what_is_verified_and_redoes_what_changed(tmp_path, phantom):
    folder = tmp_path / "clinic"
    for case in ("p1", "p2", "p3"):
        write_masks(folder, phantom, case)
    table = load_set("masks")
    done = import_set(table, folder, 509)
    label = done.folder / "labelsTr/p1.nii.gz"
    first = label.stat().st_mtime_ns
    (done.folder / "labelsTr/p3.nii.gz").write_bytes(b"damaged")
    write(folder / "p2/mask_Parotid_L.nii.gz", organ(phantom, "Glnd_Submand_L"), phantom)
    lines = []
    import_set(table, folder, 509, progress=lines.append)
    assert ["finished already" in line for line in lines] == [True, False, False]
    assert label.stat().st_mtime_ns == first
    np.testing.assert_array_equal(written(done, "p2")["Parotid_L"], organ(phantom, "Glnd_Submand_L"))
    assert written(done, "p3")["Brainstem"].any()
    # other organs change the labels of all
    lines.clear()
    chosen = import_set(table, folder, 509, ImportOptions(structures=["Parotid_L", "Parotid_R"]), progress=lines.append)
    assert chosen.labels == {"Parotid_L": 1, "Parotid_R": 2}
    assert not any("finished already" in line for line in lines)


def test_an_interrupted_import_leaves_no_dataset_and_is_taken_up(tmp_path, phantom, nnunet_folders):
    folder = tmp_path / "clinic"
    for case in ("p1", "p2"):
        write_masks(folder, phantom, case)

    def interrupt(line):
        if line.startswith("[1/2]"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_set(load_set("masks"), folder, 509, progress=interrupt)
    assert not list(nnunet_folders.glob("Dataset*"))
    shutil.rmtree(folder / "p1")
    write_masks(folder, phantom, "p0")
    lines = []
    done = import_set(load_set("masks"), folder, 509, progress=lines.append)
    assert names(done.folder / "labelsTr") == ["p0.nii.gz", "p2.nii.gz"]  # nothing of the former p1
    assert names(nnunet_folders) == [done.folder.name]
    shutil.rmtree(done.folder)
    with pytest.raises(KeyboardInterrupt):
        import_set(load_set("masks"), folder, 509, progress=interrupt)
    lines.clear()
    import_set(load_set("masks"), folder, 509, progress=lines.append)
    assert ["finished already" in line for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-d", "5", "--choose", "observer=me"], "observer=oncologist|radiographer"),
        (["-d", "5", "--structures", "Brain", "Toe"], "has no Toe"),
        (["-d", "5", "--name", "a b"], "--name"),
        (["-d", "5", "-p", "nothing"], "no profile 'nothing'"),
        (["-d", "5"], "expected the layout of deepmind"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, capfd, arguments, said):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.txt").write_text("?")
    assert import_set_command.main(["deepmind", str(tmp_path / "src"), *arguments]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]


def test_a_number_that_no_dataset_has_is_refused_at_once(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        import_set_command.main(["deepmind", str(tmp_path), "-d", "0"])
    assert "argument -d/--dataset: expected a whole number from 1 to 999, got '0'" in capsys.readouterr().err


def test_the_command_reports_and_fails_where_cases_are_left_out(pddca, phantom, capfd, nnunet_folders):
    assert import_set_command.main(["pddca", str(pddca), "-d", "501", "--choose", "test=all15"]) == 0
    out = capfd.readouterr().out
    assert "3 training, 2 test case(s), 9 structures" in out and "[1/5] 0522c0002: 7 structures" in out
    assert f"soars-stratify -d 501 -p PROFILE --not-annotated {nnunet_folders}/Dataset501_PDDCA_all15/cases.json" in out
    write_pddca(pddca, phantom, "0522c0004", swap=True)
    assert import_set_command.main(["pddca", str(pddca), "-d", "501", "--choose", "test=all15"]) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("error: 1 case(s) left out: 0522c0004") and len(captured.err.splitlines()) == 1
    assert "cases left out:" in captured.out
    assert json.loads((nnunet_folders / "Dataset501_PDDCA_all15/import_report.json").read_text())["refused"].keys() == {
        "0522c0004"
    }


def test_nothing_is_written_without_a_usable_case(pddca, nnunet_folders):
    for path in Path(pddca).rglob("img.nrrd"):
        path.unlink()
    with pytest.raises(InputError, match="none of 5 case"):
        import_set(load_set("pddca"), pddca, 501)
    assert names(nnunet_folders) == []
