"""Preprocessed cases: their intensities, which variants share, and what is made anew."""

import os
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from guidance.sources import source_files
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient
from nnunetv2.preprocessing.preprocessors import default_preprocessor
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets
from planning.cases import PLANS, options

from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, PREPROCESSING_RECORD, Cascade
from soars_nnunet.cascade.source_files import FILE
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels, write_channels
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.planning.plan import plan
from soars_nnunet.planning.preprocess import GuidedPreprocessor


def test_window_of_the_paper_is_clipped_and_its_floor_becomes_zero(planned):
    folder = planned.cascade.data("anchor", PLANS)
    listed = get_filenames_of_train_images_and_targets(str(planned.cascade.raw("anchor")))
    low = high = 0
    for case, files in listed.items():
        hu = SimpleITKIOWithReorient().read_images(files["images"])[0]
        data, seg, _ = load_preprocessed(folder, case)
        np.testing.assert_allclose(data, (np.clip(hu, -500, 1000) + 500) / 150, atol=1e-5)
        low, high = low + (hu < -600).sum(), high + (hu > 1000).sum()
        labels = SimpleITKIOWithReorient().read_seg(files["label"])[0]
        # nnU-Net marks zeros at the border with -1, which its transforms turn to background
        np.testing.assert_array_equal(np.maximum(seg, 0), labels)
    assert low > 1000 and high > 0, "the phantoms should test both ends of the window"


def test_copies_for_validation_are_the_labels(planned):
    truth = planned.cascade.preprocessed("anchor") / "gt_segmentations"
    for path in (planned.cascade.raw("anchor") / "labelsTr").iterdir():
        assert (truth / path.name).read_bytes() == path.read_bytes()


def test_variants_share_preprocessed_files_unless_they_need_others(planned):
    def folders(*overrides, name):
        plan(planned.cascade, options(*overrides, plans_name=name), ["anchor"])
        return planned.cascade.data("anchor", name), planned.cascade.data("anchor", PLANS)

    alike, default = folders("num_epochs=9", name="OtherEpochs")
    names = sorted(path.name for path in default.iterdir())
    assert sorted(path.name for path in alike.iterdir()) == names
    assert all(os.path.samefile(alike / name, default / name) for name in names if name.startswith("phantom"))
    for override, name in (("max_patch_voxels=[8,8,8]", "OtherPatch"), ("hu_per_unit=1500", "OtherUnit")):
        other, default = folders(override, name=name)
        assert sorted(path.name for path in other.iterdir()) == names
        assert not any(os.path.samefile(other / name, default / name) for name in names if name.startswith("phantom"))


def test_rerun_keeps_verified_work_and_redoes_what_changed(planned):
    def states(*overrides):
        said = []
        plan(planned.cascade, options("num_epochs=7", "anchor.batch_size=3", *overrides), ["anchor"], said.append)
        return [part for line in said for part in ("preprocessed already, verified", ": preprocessed;") if part in line]

    kept, redone = ["preprocessed already, verified"], [": preprocessed;"]
    cases = sorted(planned.cascade.data("anchor", PLANS).glob("phantom_00?.b2nd"))
    assert len(cases) == 4
    assert states() == kept
    stamps = [path.stat().st_mtime_ns for path in cases]
    assert states("num_epochs=8") == kept  # needs no other data
    assert [path.stat().st_mtime_ns for path in cases] == stamps

    label = planned.cascade.raw("anchor") / "labelsTr" / "phantom_000.nii.gz"
    image = sitk.ReadImage(str(label))
    changed = sitk.GetArrayFromImage(image)
    changed[0, 0, 0] = 1
    new = sitk.GetImageFromArray(changed)
    new.CopyInformation(image)
    sitk.WriteImage(new, str(label))
    with pytest.raises(MissingArtifactError, match="1 that changed since .*Anchor/labelsTr/phantom_000.nii.gz"):
        states()
    (Cascade.path(planned.cascade.source).parent / FILE).unlink()  # as a dataset that an older version stratified
    assert states() == redone
    _, seg, _ = load_preprocessed(planned.cascade.data("anchor", PLANS), "phantom_000")
    assert seg[0, 0, -1, -1] == 1  # LPS to RAS flips y and x
    assert states() == kept

    cases[1].write_bytes(cases[1].read_bytes()[:200])
    assert states() == redone
    content = bytearray(cases[3].read_bytes())
    content[len(content) // 2] ^= 1
    cases[3].write_bytes(content)
    assert states() == redone, "one bit is another"
    record = planned.cascade.data("anchor", PLANS) / PREPROCESSING_RECORD
    older = read_json(record)
    del older["contents"]
    write_json(record, older)
    assert states() == kept, "as 0.1.0 wrote it"
    cases[2].unlink()
    assert states() == redone


def test_a_low_pass_makes_cases_anew_only_where_a_ct_gets_one(planned):
    def said_of(name, spacing_mm, ratio):
        said = []
        chosen = replace(options(f"low_pass_ratio={ratio}", plans_name=name), spacing_mm=tuple(spacing_mm))
        plan(planned.cascade, chosen, ["anchor"], said.append)
        folder = planned.cascade.data("anchor", name)
        return "\n".join(said), load_preprocessed(folder, "phantom_000")[0]

    own_mm = PlansFile.read(planned.cascade.plans("anchor", PLANS)).spacing_mm
    coarse_mm = [2.2 * mm for mm in own_mm]
    assert ": preprocessed;" in said_of("Coarse", coarse_mm, "null")[0]
    said, without = said_of("CoarseLater", coarse_mm, 3)
    assert "shares Coarse_" in said, "no CT goes down by more than 3"
    said, filtered = said_of("CoarseLowPass", coarse_mm, 1.5)
    assert ": preprocessed;" in said and filtered.shape == without.shape
    assert filtered.std() < without.std() and np.abs(filtered - without).max() > 0.1
    assert "preprocessed already, verified" in said_of("CoarseLowPass", coarse_mm, 1.5)[0]


@pytest.mark.parametrize("branch", ["mid_level", "detection"])
def test_guided_branches_train_on_the_ct_and_the_stored_channels(untrained_cascade, branch):
    cascade = untrained_cascade
    names = read_json(cascade.preprocessed(branch) / "dataset.json")["channel_names"]
    assert names == {"0": "CT", **{str(i): "noNorm" for i in range(1, 10)}}
    for case in source_files(cascade):
        data, _, properties = load_preprocessed(cascade.data(branch, DEFAULT_PLANS), case)
        ct, _, anchor_properties = load_preprocessed(cascade.data("anchor", DEFAULT_PLANS), case)
        stored = read_channels(cascade.channels("anchor", DEFAULT_PLANS), case)
        np.testing.assert_array_equal(data, np.concatenate((ct, stored.astype(np.float32))))
        key = "bbox_used_for_cropping"
        assert [list(side) for side in properties[key]] == [list(side) for side in anchor_properties[key]]


def test_channels_of_another_grid_are_refused(tmp_path, monkeypatch):
    """They are appended to the CT, so that one voxel of both is one place."""
    ct, labels = np.full((1, 4, 5, 6), 0.25, np.float32), np.zeros((1, 4, 5, 6), np.int8)
    seen = []

    def stock(self, image_files, *arguments):
        seen.append(image_files)
        return ct, labels, {"spacing": (1.0, 1.0, 1.0)}

    monkeypatch.setattr(default_preprocessor.DefaultPreprocessor, "run_case", stock)
    channels = np.linspace(0, 1, 2 * 4 * 5 * 6, dtype=np.float32).reshape(2, 4, 5, 6)
    write_channels(tmp_path, "a", channels)
    write_channels(tmp_path, "b", channels[:, 1:])
    preprocessor = GuidedPreprocessor(tmp_path, ".nii.gz")
    files = ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"]
    data, seg, _ = preprocessor.run_case(files, "labelsTr/a.nii.gz", None, None, {})
    assert seen == [files[:1]], "nnU-Net crops and resamples the CT alone"
    assert data.dtype == np.float32 and seg is labels
    np.testing.assert_array_equal(data, np.concatenate((ct, channels.astype(np.float16))))
    with pytest.raises(MissingArtifactError, match=r"b: stored .* grid \(3, 5, 6\), .* gives \(4, 5, 6\)"):
        preprocessor.run_case(files, "labelsTr/b.nii.gz", None, None, {})
