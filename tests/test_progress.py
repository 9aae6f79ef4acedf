"""Progress callbacks."""

from soars_nnunet.progress import silent


def test_the_default_says_nothing(capsys):
    assert silent("a line") is None
    assert capsys.readouterr() == ("", "")
