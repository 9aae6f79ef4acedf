import pytest

from soars_nnunet.cli import phantom


@pytest.mark.parametrize("arguments", [["--train", 0, "--test", 0], ["--shape", 2048, 2048, 2048]])
def test_bad_phantom_options(refused, folders, arguments):
    refused(phantom.main, *arguments)
    assert list((folders / "nnUNet_raw").iterdir()) == []
