import pytest

from soars_nnunet.cli import phantom


@pytest.mark.parametrize("arguments", [["-d", 0], ["-d", 1000], ["--train", 0], ["--shape", 0, 8, 8]])
def test_bad_phantom_options(refused, folders, arguments):
    refused(phantom.main, *arguments)
    assert list((folders / "nnUNet_raw").iterdir()) == []
