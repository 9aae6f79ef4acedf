"""Files that changed since stratification are refused by name."""

import os
from dataclasses import replace

import pytest

from soars_nnunet.cascade.dataset_listing import CaseFiles
from soars_nnunet.cascade.source_cases import source_cases, unchanged_cases
from soars_nnunet.cascade.source_files import (
    FILE,
    CaseStamps,
    FileStamp,
    require_unchanged,
    stratified_files,
    write_source_files,
)
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import InputError, MissingArtifactError


@pytest.fixture
def stratified(cascade):
    """Cases a and b of the record's dataset, with stamps; case c came later."""
    raw = cascade.raw("anchor").parent / cascade.source
    stamps = {}
    for case in "abc":
        files = CaseFiles(raw / "imagesTr" / f"{case}_0000.nii.gz", raw / "labelsTr" / f"{case}.nii.gz")
        written = cascade.raw("anchor") / "labelsTr" / f"{case}.nii.gz"
        for path in (*files, written):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{path.parent.name} {case}".encode())
        if case != "c":
            stamps[case] = CaseStamps.of(files, {"anchor": written})
    write_json(raw / "dataset.json", {"file_ending": ".nii.gz"})
    write_source_files(cascade.source, stamps)
    return replace(cascade, cases=("a", "b"))


FILES = {
    "CT": "{source}/imagesTr/b_0000.nii.gz",
    "label map": "{source}/labelsTr/b.nii.gz",
    "label map of a branch": "{anchor}/labelsTr/b.nii.gz",
}


def path_of(cascade, what):
    return cascade.raw("anchor").parent / FILES[what].format(source=cascade.source, anchor=cascade.datasets["anchor"])


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("quick", [True, False])
def test_a_file_that_changed_is_named(stratified, what, quick):
    require_unchanged(stratified, quick)
    path = path_of(stratified, what)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        MissingArtifactError, match=f"1 that changed since .*{path.parent.name}/{path.name}.*soars-strat"
    ):
        require_unchanged(stratified, quick)
    with pytest.raises(MissingArtifactError, match="1 that changed"):
        unchanged_cases(stratified)
    path.write_bytes(content)  # another time of writing is no change
    require_unchanged(stratified, quick)


def test_one_byte_with_size_and_time_as_they_were_is_found_where_files_are_read(stratified):
    path = path_of(stratified, "CT")
    stat = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    require_unchanged(stratified, quick=True)
    with pytest.raises(MissingArtifactError, match="b_0000"):
        require_unchanged(stratified)


@pytest.mark.parametrize("what", ["CT", "label map"])
def test_files_that_are_gone_are_named(stratified, what):
    path_of(stratified, what).unlink()
    with pytest.raises(InputError, match=r"none of 1 case\(s\) \(b\)"):
        require_unchanged(stratified)


def test_only_stratified_cases_are_the_sources(stratified):
    assert list(stratified_files(stratified)) == list(unchanged_cases(stratified)) == ["a", "b"]
    assert source_cases(stratified) == stratified_files(stratified)
    assert list(stratified_files(replace(stratified, cases=()))) == ["a", "b", "c"]  # an old record knows no cases


def test_a_dataset_of_an_older_version_is_taken_as_it_is(stratified):
    from soars_nnunet.cascade.environment import preprocessed_folder

    (preprocessed_folder() / stratified.source / FILE).unlink()
    path_of(stratified, "CT").write_text("other")
    require_unchanged(stratified)


@pytest.mark.parametrize("content", [[], {"a": {}}, {"a": {"ct": 1}}, {"a": None}])
def test_stamps_of_another_form_are_refused(stratified, content):
    from soars_nnunet.cascade.environment import preprocessed_folder

    write_json(preprocessed_folder() / stratified.source / FILE, content)
    with pytest.raises(MissingArtifactError, match="expected the hashes of every case"):
        require_unchanged(stratified)


def test_a_stamp_is_of_content(tmp_path):
    (tmp_path / "a").write_text("x")
    stamp = FileStamp.of(tmp_path / "a")
    assert stamp.size == 1 and stamp.fits(tmp_path / "a", since_ns=None)
    (tmp_path / "a").write_text("y")
    now_ns = (tmp_path / "a").stat().st_mtime_ns
    assert [stamp.fits(tmp_path / "a", since_ns) for since_ns in (None, now_ns - 1, now_ns)] == [False, False, True]
