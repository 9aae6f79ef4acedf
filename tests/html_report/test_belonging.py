"""Labels, report and CT that belong together, and those that do not."""

from dataclasses import replace

import pytest

from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.errors import InputError
from soars_nnunet.html_report.belonging import doubts
from soars_nnunet.html_report.prediction_report import read_prediction_report


@pytest.fixture
def hashed(small_case):
    labels, report, ct = small_case
    read = read_prediction_report(report)
    return replace(read, ct_sha256=file_hash(ct), labels_sha256=file_hash(labels)), labels, ct


def test_files_of_one_prediction_belong_together(hashed):
    assert doubts(*hashed) == []


@pytest.mark.parametrize("other", ["labels", "bytes"])
def test_another_ct_is_refused(hashed, tmp_path, other):
    report, labels, ct = hashed
    path = tmp_path / "other.nii.gz"
    path.write_bytes(labels.read_bytes() if other == "labels" else ct.read_bytes() + b"0")
    with pytest.raises(InputError, match=r"-i .*other\.nii\.gz: expected the CT that a\.nii\.gz was made from"):
        doubts(report, labels, path)


def test_edited_labels_and_reports_without_hashes_are_doubtful(hashed):
    report, labels, ct = hashed
    labels.write_bytes(labels.read_bytes() + b"0")
    (found,) = doubts(report, labels, ct)
    assert found.startswith("a.nii.gz was changed after its report was written")
    (found,) = doubts(replace(report, ct_sha256=None, labels_sha256=None), labels, ct)
    assert found.startswith("The report holds no hash of its CT")
