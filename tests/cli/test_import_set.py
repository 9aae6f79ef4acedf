import pytest

from soars_nnunet.cli import import_set
from soars_nnunet.cli.command import make_parser
from soars_nnunet.cli.commands import COMMANDS
from soars_nnunet.importing.public_sets import available_sets, read_table


def test_help_lists_every_set_and_what_can_be_chosen():
    text = " ".join(make_parser(COMMANDS["import"], import_set.add_arguments).format_help().split())
    for name in available_sets():
        assert name in text
        for key, row in read_table(name).get("choices", {}).items():
            assert f"{name}: {key}={'|'.join(row['values'])}" in text.replace("| ", "|")


def test_unknown_set(capsys):
    with pytest.raises(SystemExit) as stop:
        import_set.main(["nobodys", ".", "-d", "5"])
    assert stop.value.code == 2 and "invalid choice: 'nobodys'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["pddca", "nowhere", "-d", 5], "expected the folder of pddca"),
        (["pddca", ".", "-d", 5, "--choose", "test=some"], "expected one of test=offsite|all15|none"),
        (["masks", ".", "-d", 5, "--name", "a b"], "without spaces"),
    ],
)
def test_bad_options(refused, tmp_path, monkeypatch, arguments, part, folders):
    monkeypatch.chdir(tmp_path)
    assert part in refused(import_set.main, *arguments)
    assert list((folders / "nnUNet_raw").iterdir()) == []
