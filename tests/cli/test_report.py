from pathlib import Path

import pytest

from soars_nnunet.cli import report
from soars_nnunet.html_report import write


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(["-e", "e.json", "-i", "ct"], "leave it out"), (["-p", "labels"], "add -i CT_OR_FOLDER")],
)
def test_contradicting_options(refused, arguments, part):
    assert part in refused(report.main, *arguments)


@pytest.mark.parametrize("arguments", [[], ["-e", "e.json", "-p", "labels"]])
def test_one_kind_of_report_at_a_time(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        report.main(arguments)
    assert stop.value.code == 2 and "-p/--prediction" in capsys.readouterr().err


def test_options_arrive(monkeypatch, capfd):
    monkeypatch.setattr(write, "report_evaluation", lambda path, output, say: say(f"evaluation {path} {output}"))
    monkeypatch.setattr(write, "report_predictions", lambda *paths: paths[-1](f"predictions {paths[:-1]}"))
    assert report.main(["-e", "e.json"]) == 0
    assert report.main(["-p", "labels", "-i", "ct", "-o", "pages"]) == 0
    expected = f"predictions {(Path('labels'), Path('ct'), Path('pages'))}"
    assert capfd.readouterr().out.splitlines() == ["evaluation e.json None", expected]
