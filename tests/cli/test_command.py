import pytest

from soars_nnunet.cli import stratify


def test_missing_arguments_exit_with_2_too(capsys):
    with pytest.raises(SystemExit) as stop:
        stratify.main([])
    assert stop.value.code == 2
    assert "-d/--dataset" in capsys.readouterr().err
