import json
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.source_cases import source_cases
from soars_nnunet.cascade.storage import file_hash, read_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.phantom.dataset import write_phantom_dataset
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify

HN42 = load_profile("hn42")
SOURCE = "Dataset042_Neck"
LABELS = {"background": 0, "Tumour": 3, "LeftParotid": 2, "brain stem": 5, "RightParotid": 9}
BLOCKS = {2: slice(11, 14), 5: slice(6, 9), 9: slice(2, 5), 3: slice(14, 16)}
"""x range of each label in the crafted volume; the patient's left is at larger x."""


def point_to(folder, set_variable):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        set_variable(name, str(folder / name))
    return folder / "nnUNet_raw"


@pytest.fixture
def raw(tmp_path, monkeypatch):
    return point_to(tmp_path, monkeypatch.setenv)


def volume(swapped=False):
    labels = np.zeros((12, 14, 16), np.uint8)
    for value, columns in BLOCKS.items():
        value = {2: 9, 9: 2}.get(value, value) if swapped else value
        labels[4:8, 3:9, columns] = value
    return labels


def as_image(array, direction_x=1.0, spacing=(1.5, 2.0, 3.0)):
    """Image with the given x direction; the array is in the image's own voxel order."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetDirection((direction_x, 0, 0, 0, 1, 0, 0, 0, 1))
    image.SetOrigin((-12.0 if direction_x > 0 else 12.0, -5.0, 30.0))
    return image


def write_case(raw, case, labels, ct=None):
    folder = raw / SOURCE
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    if ct is None:
        ct = sitk.Cast(labels > 0, sitk.sitkInt16) * 1300 - 1000  # air and bone
    sitk.WriteImage(ct, str(folder / "imagesTr" / f"{case}_0000.nii.gz"))
    sitk.WriteImage(labels, str(folder / "labelsTr" / f"{case}.nii.gz"))


def write_source(raw, cases=("a", "b"), labels=LABELS):
    for case in cases:
        write_case(raw, case, as_image(volume()))
    return write_source_json(raw, cases, labels)


def write_source_json(raw, cases, labels):
    data = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": len(cases), "file_ending": ".nii.gz"}
    # a list of files spares nnU-Net's pool of twelve processes that looks them up
    data["dataset"] = {
        case: {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"} for case in cases
    }
    (raw / SOURCE / "dataset.json").write_text(json.dumps(data))
    return raw


def read_array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(scope="module")
def stratified(tmp_path_factory):
    """Two phantoms with all 42 organs at 6 mm, stratified."""
    with pytest.MonkeyPatch.context() as patch:
        raw = point_to(tmp_path_factory.mktemp("stratified"), patch.setenv)
        write_phantom_dataset(raw / SOURCE, num_training=2, num_test=0, shape=(48, 40, 40), spacing_mm=(6.0, 6.0, 6.0))
        yield stratify(42, HN42, StratifyOptions(num_folds=2)), raw


@pytest.mark.parametrize("case", ["phantom_000", "phantom_001"])
def test_anchor_and_mid_level_put_back_together_are_the_source(stratified, case):
    cascade, raw = stratified[0].cascade, stratified[1]
    source = read_array(raw / SOURCE / "labelsTr" / f"{case}.nii.gz")
    restored = np.zeros_like(source)
    for branch in ("anchor", "mid_level"):
        tier = read_array(raw / cascade.datasets[branch] / "labelsTr" / f"{case}.nii.gz")
        values = read_json(raw / cascade.datasets[branch] / "dataset.json")["labels"]
        for name, members in branch_labels(cascade, branch):
            assert members == [name]
            voxels = tier == values[name]
            assert voxels.any() and not restored[voxels].any()
            restored[voxels] = HN42.by_name[name].label
    small = [organ.label for organ in HN42.tier("small_hard")]
    assert np.isin(source, small).sum() > 20
    np.testing.assert_array_equal(restored, np.where(np.isin(source, small), 0, source))


@pytest.mark.parametrize("case", ["phantom_000", "phantom_001"])
def test_detection_targets_are_the_unions_of_their_organs(stratified, case):
    cascade, raw = stratified[0].cascade, stratified[1]
    source = read_array(raw / SOURCE / "labelsTr" / f"{case}.nii.gz")
    tier = read_array(raw / cascade.datasets["detection"] / "labelsTr" / f"{case}.nii.gz")
    values = read_json(raw / cascade.datasets["detection"] / "dataset.json")["labels"]
    assert values == {"background": 0, **{name: i for i, name in enumerate(HN42.targets, 1)}} and len(values) == 11
    covered = np.zeros(source.shape, bool)
    for target, organs in HN42.targets.items():
        union = np.isin(source, [organ.label for organ in organs])
        np.testing.assert_array_equal(tier == values[target], union)
        covered |= union
    assert not tier[~covered].any()


def test_cts_are_referenced_not_copied(stratified):
    cascade, raw = stratified[0].cascade, stratified[1]
    for branch in ("anchor", "mid_level", "detection"):
        folder = raw / cascade.datasets[branch]
        assert sorted(os.listdir(folder)) == ["dataset.json", "labelsTr"]
        listed = get_filenames_of_train_images_and_targets(str(folder))
        assert sorted(listed) == ["phantom_000", "phantom_001"]
        for case, files in listed.items():
            assert files["images"] == [str(raw / SOURCE / "imagesTr" / f"{case}_0000.nii.gz")]
            assert files["label"] == str(folder / "labelsTr" / f"{case}.nii.gz")
            label, ct = (sitk.ReadImage(path) for path in (files["label"], files["images"][0]))
            assert label.GetOrigin() == ct.GetOrigin() and label.GetSpacing() == ct.GetSpacing()
        # raw folders can be moved as a whole
        assert str(raw) not in (folder / "dataset.json").read_text()


def test_small_hard_is_only_reserved(stratified):
    cascade, raw = stratified[0].cascade, stratified[1]
    assert cascade.datasets["small_hard"] == "Dataset424_Neck_SmallHard"
    assert sorted(path.name for path in raw.iterdir()) == [
        SOURCE,
        *(f"Dataset42{i}_Neck_{name}" for i, name in enumerate(("Anchor", "MidLevel", "Detection"), 1)),
    ]


def test_every_branch_has_the_same_split(stratified):
    cascade = stratified[0].cascade
    splits = [cascade.splits(branch) for branch in ("anchor", "mid_level", "detection")]
    assert splits[0] == splits[1] == splits[2] and len(splits[0]) == 2


def test_rerun_gives_identical_files(raw, tmp_path):
    def hashes():
        return {path.relative_to(tmp_path): file_hash(path) for path in tmp_path.rglob("*") if path.is_file()}

    write_source(raw)
    stratify(42, HN42, StratifyOptions(num_folds=2))
    first = hashes()
    assert len(first) > 10
    stratify(42, HN42, StratifyOptions(num_folds=2))
    assert hashes() == first


def test_other_label_numbers_and_names(raw):
    write_source(raw)
    done = stratify(42, HN42, StratifyOptions(num_folds=2))
    assert done.cascade.labels == {"Brainstem": 5, "Parotid_L": 2, "Parotid_R": 9}
    assert done.unknown == ["Tumour"]
    assert sorted(done.absent) == sorted({o.name for o in HN42.organs} - {"Brainstem", "Parotid_L", "Parotid_R"})
    assert list(done.cascade.datasets) == ["anchor", "mid_level"]
    tiers = [read_array(done.cascade.raw(branch) / "labelsTr" / "a.nii.gz") for branch in ("anchor", "mid_level")]
    np.testing.assert_array_equal(tiers[0], volume() == 5)
    np.testing.assert_array_equal(tiers[1], np.where(volume() == 2, 1, np.where(volume() == 9, 2, 0)))


def test_organs_without_a_voxel_are_reported_per_case(raw):
    write_source(raw)
    labels = volume()
    labels[labels == 2] = 0
    write_case(raw, "b", as_image(labels))
    assert stratify(42, HN42, StratifyOptions(num_folds=2)).empty == {"b": ["Parotid_L"]}


def case_of(image):
    """Writes a label map of case b in place of the good one."""
    return lambda raw: write_case(raw, "b", image)


def with_values(dtype, *values):
    labels = volume().astype(dtype)
    labels[0, 0, : len(values)] = values
    return as_image(labels)


def cut(raw):
    path = raw / SOURCE / "imagesTr" / "b_0000.nii.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def broken_link(raw):
    path = raw / SOURCE / "imagesTr" / "b_0000.nii.gz"
    path.unlink()
    path.symlink_to(raw / "nowhere.nii.gz")


UNUSABLE = {
    "label 77": (case_of(with_values(np.uint8, 77)), "got also 77"),
    "two unnamed labels": (case_of(with_values(np.uint16, 77, 300)), "77 .1 voxels., 300 .1 voxels."),
    "label -1": (case_of(with_values(np.int16, -1)), "got -1 to 9"),
    "label 2^31-1": (case_of(with_values(np.int32, 2**31 - 1)), "0 to 2.14748e.09"),
    "label 2^32+1": (case_of(with_values(np.int64, 2**32 + 1)), "0 to 4.29497e.09"),
    "label 1.5": (case_of(with_values(np.float32, 1.5)), "got fractions"),
    "swapped sides": (case_of(as_image(volume(swapped=True))), "right of Parotid_R"),
    "cut CT": (cut, "b_0000.nii.gz: expected a readable image file"),
    "broken link": (broken_link, "b_0000.nii.gz"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_case_that_cannot_be_used_is_named_and_the_others_are_stratified(raw, name):
    spoil, message = UNUSABLE[name]
    write_source(raw, ("a", "b", "c"))
    spoil(raw)
    done = stratify(42, HN42, StratifyOptions(num_folds=2))
    assert done.cascade.cases == ("a", "c") and list(done.refused) == ["b"]
    assert sorted(os.listdir(done.cascade.raw("anchor") / "labelsTr")) == ["a.nii.gz", "c.nii.gz"]
    with pytest.raises(InputError, match=f"1 case.s. cannot be used: .*{message}.*--leave-out"):
        done.require_all()


def test_cases_are_left_out_where_that_is_wanted_and_the_record_says_so(raw):
    write_source(raw, ("a", "b", "c"))
    cut(raw)
    done = stratify(42, HN42, StratifyOptions(num_folds=2, leave_out=True))
    done.require_all()
    assert Cascade.load(42).cases == ("a", "c")
    assert list(Cascade.load(42).left_out) == ["b"] and "b_0000" in Cascade.load(42).left_out["b"]


def test_a_case_that_was_stratified_before_is_not_lost_without_being_told(raw):
    write_source(raw, ("a", "b", "c"))
    stratify(42, HN42, StratifyOptions(num_folds=2))
    cut(raw)
    refused_without_traces(raw, "b_0000.nii.gz.*nothing is written")
    assert Cascade.load(42).cases == ("a", "b", "c")
    assert stratify(42, HN42, StratifyOptions(num_folds=2, leave_out=True)).cascade.cases == ("a", "c")


def test_voxels_labelled_ignore_stay_open(raw):
    """Ignored voxels lie beside the left parotid gland of one case."""
    write_source(raw, ("a", "b", "c"), {**LABELS, "ignore": 12})
    labels = volume()
    labels[8] = np.where(labels[7] == 2, 12, 0)
    write_case(raw, "b", as_image(labels))
    done = stratify(42, HN42, StratifyOptions(num_folds=2))
    assert done.ignoring == ["b"] and done.cascade.ignore == 12
    assert done.cascade.partly_annotated == {"b": ["Parotid_L"]} and done.not_annotated == {}
    assert Cascade.load(42) == done.cascade
    for branch, value in (("anchor", 2), ("mid_level", 3)):
        folder = done.cascade.raw(branch)
        assert read_json(folder / "dataset.json")["labels"]["ignore"] == value
        np.testing.assert_array_equal(read_array(folder / "labelsTr" / "b.nii.gz") == value, labels == 12)
        assert read_array(folder / "labelsTr" / "a.nii.gz").max() < value


def test_an_ignore_label_without_a_voxel_changes_nothing(raw):
    write_source(raw, labels={**LABELS, "ignore": 12})
    done = stratify(42, HN42, StratifyOptions(num_folds=2))
    assert done.cascade.ignore is None and done.ignoring == []
    assert "ignore" not in read_json(done.cascade.raw("anchor") / "dataset.json")["labels"]


def test_dataset_without_an_organ_of_the_profile_is_refused(raw):
    write_source(raw, labels={"background": 0, "liver": 5, "Tumour": 3})
    with pytest.raises(InputError, match="expected anchor organs of profile 'hn42'.*liver"):
        stratify(42, HN42, StratifyOptions(num_folds=2))
    assert os.listdir(raw) == [SOURCE]


def refused_without_traces(raw, message):
    before = {path.relative_to(raw): path.stat().st_mtime_ns for path in raw.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message):
        stratify(42, HN42, StratifyOptions(num_folds=2))
    assert {path.relative_to(raw): path.stat().st_mtime_ns for path in raw.rglob("*") if path.is_file()} == before
    assert [name for name in os.listdir(raw) if name.startswith(".")] == []


def test_swapped_sides_are_refused(raw):
    write_source(raw)
    write_case(raw, "b", as_image(volume(swapped=True)))
    refused_without_traces(raw, "b: Parotid_L lies .* right of Parotid_R")
    assert os.listdir(raw) == [SOURCE]


def test_mirrored_storage_is_accepted_if_the_header_says_so(raw):
    write_source(raw)
    write_case(raw, "b", as_image(np.ascontiguousarray(volume()[:, :, ::-1]), direction_x=-1.0))
    cascade = stratify(42, HN42, StratifyOptions(num_folds=2)).cascade
    tier = sitk.ReadImage(str(cascade.raw("mid_level") / "labelsTr" / "b.nii.gz"))
    assert tier.GetDirection()[0] == -1.0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(tier)[:, :, ::-1] == 1, volume() == 2)


def test_wrong_header_over_right_labels_is_refused(raw):
    write_source(raw)
    write_case(raw, "b", as_image(volume(), direction_x=-1.0))
    refused_without_traces(raw, "b: Parotid_L lies")


def test_label_map_on_another_grid_is_refused_and_earlier_work_stays(raw):
    write_source(raw)
    stratify(42, HN42, StratifyOptions(num_folds=2))
    # the last case fails, after others were written
    write_case(raw, "b", as_image(volume(), spacing=(1.5, 2.0, 3.5)), ct=as_image(volume().astype(np.int16)))
    refused_without_traces(raw, "b: expected the label map on the grid of b_0000.nii.gz, with spacing")


def test_label_map_on_another_grid_leaves_nothing_in_the_raw_folder(raw):
    write_source(raw)
    write_case(raw, "b", as_image(volume()[:-1]), ct=as_image(volume().astype(np.int16)))
    refused_without_traces(raw, "with size")
    assert os.listdir(raw) == [SOURCE]


def test_leftovers_of_a_killed_run_do_not_get_into_the_result(raw):
    write_source(raw)
    leftover = raw / ".Dataset421_Neck_Anchor.partial" / "labelsTr"
    leftover.mkdir(parents=True)
    (leftover / "old.nii.gz").touch()
    cascade = stratify(42, HN42, StratifyOptions(num_folds=2)).cascade
    assert sorted(os.listdir(cascade.raw("anchor") / "labelsTr")) == ["a.nii.gz", "b.nii.gz"]
    assert sorted(name for name in os.listdir(raw) if name.startswith(".")) == []


def test_missing_files_are_named(raw):
    write_source(raw)
    (raw / SOURCE / "labelsTr" / "b.nii.gz").unlink()
    refused_without_traces(raw, "b.nii.gz")


def test_what_does_not_agree_is_refused_unless_it_may_be_left_out(raw):
    write_source(raw, ("a", "b", "c"))
    path = raw / SOURCE / "dataset.json"
    data = json.loads(path.read_text())
    data["numTraining"] = 4
    del data["dataset"]
    path.write_text(json.dumps(data))
    (raw / SOURCE / "imagesTr" / "b_0000.nii.gz").unlink()
    refused_without_traces(raw, r"1 label map.s. without a CT .b.nii.gz., numTraining 4 for 2 complete .*--leave-out")
    done = stratify(42, HN42, StratifyOptions(num_folds=2, leave_out=True))
    assert done.cascade.cases == ("a", "c") and done.cascade.left_out == {"b.nii.gz": "label map(s) without a CT"}


def test_more_than_one_channel_is_refused(raw):
    write_source(raw)
    path = raw / SOURCE / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "channel_names": {"0": "CT", "1": "PET"}}))
    refused_without_traces(raw, "expected one channel")


def test_ids_of_another_dataset_are_passed_over_and_stay_so(raw):
    write_source(raw)
    chest = raw / "Dataset422_Chest"
    chest.mkdir()
    said = []
    expected = {"anchor": "Dataset011_Neck_Anchor", "mid_level": "Dataset012_Neck_MidLevel"}
    assert stratify(42, HN42, StratifyOptions(num_folds=2), said.append).cascade.datasets == expected
    assert "Dataset422_Chest" in said[0]
    chest.rmdir()
    assert stratify(42, HN42, StratifyOptions(num_folds=2)).cascade.datasets == expected
    for name in expected.values():
        shutil.rmtree(raw / name)
    assert stratify(42, HN42, StratifyOptions(num_folds=2)).cascade.datasets == expected, "the record knows them"


def test_ids_that_others_took_since_are_not_used_again(raw):
    write_source(raw)
    first = stratify(42, HN42, StratifyOptions(num_folds=2)).cascade
    first.raw("anchor").rename(raw / "Dataset421_Chest")
    again = stratify(42, HN42, StratifyOptions(num_folds=2)).cascade
    ids = [path.name[:10] for path in raw.iterdir()]
    assert len(ids) == len(set(ids)) and again.datasets["anchor"] == "Dataset011_Neck_Anchor"


def test_the_source_itself_is_never_overwritten(raw):
    source = raw / "Dataset011_Neck"
    write_source(raw)
    (raw / SOURCE).rename(source)
    (raw / "Dataset111_Chest").mkdir()
    before = file_hash(source / "labelsTr" / "a.nii.gz")
    names = stratify(11, HN42, StratifyOptions(num_folds=2)).cascade.datasets.values()
    assert min(names) == "Dataset021_Neck_Anchor" and file_hash(source / "labelsTr" / "a.nii.gz") == before


def test_a_damaged_record_is_written_anew(raw):
    write_source(raw)
    cascade = stratify(42, HN42, StratifyOptions(num_folds=2)).cascade
    Cascade.path(cascade.source).write_text("{")
    assert stratify(42, HN42, StratifyOptions(num_folds=2)).cascade == cascade
    assert Cascade.load(42) == cascade


def test_baseline_holds_every_organ_and_is_no_branch_of_the_cascade(raw):
    write_source(raw)
    cascade = stratify(42, HN42, StratifyOptions(num_folds=2, baseline=True)).cascade
    assert cascade.datasets["baseline"] == "Dataset425_Neck_Baseline"
    assert [branch.key for branch in cascade.branches] == ["anchor", "mid_level"]
    assert [branch.key for branch in cascade.networks] == ["anchor", "mid_level", "baseline"]
    organs = [name for name, _ in branch_labels(cascade, "baseline")]
    assert organs == [organ.name for organ in HN42.organs if organ.name in cascade.labels]
    written = read_array(cascade.raw("baseline") / "labelsTr" / "a.nii.gz")
    for value, name in enumerate(organs, 1):
        np.testing.assert_array_equal(written == value, volume() == cascade.labels[name])
    splits = [read_json(cascade.preprocessed(key) / "splits_final.json") for key in ("anchor", "baseline")]
    assert splits[0] == splits[1]


def test_default_is_four_folds_and_each_case_is_validated_once(raw):
    write_source(raw, [f"case{i}" for i in range(6)])
    splits = stratify(42, HN42).cascade.splits()
    assert len(splits) == 4
    assert sorted(case for split in splits for case in split["val"]) == [f"case{i}" for i in range(6)]
    for split in splits:
        assert sorted(split["train"] + split["val"]) == [f"case{i}" for i in range(6)]


def test_unknown_dataset_is_refused(raw):
    write_source(raw)
    with pytest.raises(MissingArtifactError, match="dataset 43"):
        stratify(43, HN42)


def restratify(folds=2, profile=HN42, **more):
    return stratify(42, profile, StratifyOptions(num_folds=folds, **more))


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_options_again_change_nothing_and_others_do_not_touch_trained_models(raw):
    write_source(raw)
    cascade = restratify().cascade
    model = cascade.model("anchor", "nnUNetPlans") / "fold_0"
    model.mkdir(parents=True)
    (model / "checkpoint_final.pth").write_text("x")
    completed = raw / cascade.datasets["mid_level"] / "dataset.json"
    completed.write_text(completed.read_text().replace('"guidance": []', '"guidance": ["Brainstem"]'))
    before = listing(raw)
    restratify()
    assert listing(raw) == before, "what soars-channels completed stays so"
    lists = raw.parent / "lists.json"
    lists.write_text('{"a": ["Parotid_L"]}')
    write_case(raw, "c", as_image(volume()))
    for change in ({"profile": load_profile("miccai2015")}, {"not_annotated": lists}, {"profile": HN42.in_one_tier()}):
        with pytest.raises(InputError, match=r"got .*; stale would be Dataset421_Neck_Anchor/SOARSAnchor.*--overwrite"):
            restratify(**change)
    record = Cascade.load(42)
    assert record == cascade and (model / "checkpoint_final.pth").is_file()
    assert {path: time for path, time in listing(raw).items() if path in before} == before
    restratify(not_annotated=lists, overwrite=True)
    assert not model.exists() and Cascade.load(42).not_annotated["a"] == ["Parotid_L"]
    assert (model.parents[1] / "stale_1" / model.parent.name / "fold_0" / "checkpoint_final.pth").is_file()
    restratify(profile=load_profile("miccai2015"))
    assert Cascade.load(42).profile.name == "miccai2015", "nothing is trained any more"


def write_jaws(raw, labels, volumes):
    """Cases whose label maps are these arrays."""
    for case, array in volumes.items():
        write_case(raw, case, as_image(array))
    write_source_json(raw, list(volumes), labels)


def test_halves_of_a_whole_mandible_are_made_recorded_and_read_by_later_steps(raw):
    whole = volume()
    whole[2:4, 3:9, 3:13] = 7
    one_sided = volume()
    one_sided[2:4, 3:9, 9:13] = 7
    write_jaws(raw, {**LABELS, "Mandible": 7}, {"a": whole, "b": whole, "c": one_sided})
    done = stratify(42, HN42, StratifyOptions(num_folds=2))
    cascade = Cascade.load(42)
    halves = ["Bone_Mandible_L", "Bone_Mandible_R"]
    assert [cascade.labels[half] for half in halves] == [10, 11] and "Mandible" not in done.unknown
    assert set(halves) <= {name for name, _ in branch_labels(cascade, "anchor")}
    anchors = {name: value for value, (name, _) in enumerate(branch_labels(cascade, "anchor"), 1)}
    written = read_array(raw / cascade.datasets["anchor"] / "labelsTr" / "a.nii.gz")
    jaw = whole == 7
    left = np.arange(16) > 7
    np.testing.assert_array_equal(written == anchors[halves[0]], jaw & left)
    np.testing.assert_array_equal(written == anchors[halves[1]], jaw & ~left)
    assert set(halves) <= set(cascade.not_annotated["c"]) and "a" not in cascade.not_annotated
    record = read_json(cascade.derived_labels / "derived.json")
    assert record["cases"]["c"]["notes"] == ["Mandible not divided: 100% of it lies left of the midline"]
    assert record["derived"] == ["Bone_Mandible_L and Bone_Mandible_R from Mandible, divided at the midline"]
    np.testing.assert_array_equal(read_array(source_cases(cascade)["a"].labels) == 10, jaw & left)


def test_a_dataset_without_derived_organs_has_no_derived_label_maps(raw):
    whole = volume()
    whole[2:4, 3:9, 3:13] = 7
    write_jaws(raw, {**LABELS, "Mandible": 7}, {"a": whole, "b": whole})
    stratify(42, HN42, StratifyOptions(num_folds=2))
    assert Cascade.load(42).derived_labels.is_dir()
    write_source(raw)
    stratify(42, HN42, StratifyOptions(num_folds=2))
    cascade = Cascade.load(42)
    assert not cascade.derived and not cascade.derived_labels.exists()
    assert source_cases(cascade)["a"].labels.parent.name == "labelsTr"


def test_a_whole_mandible_of_two_halves_in_the_profile_that_has_the_whole(raw):
    halves = volume()
    halves[2:4, 3:9, 8:13], halves[2:4, 3:9, 3:8] = 7, 8
    half = np.where(halves == 8, 0, halves)
    write_jaws(raw, {**LABELS, "LT MANDIBLE": 7, "RT MANDIBLE": 8}, {"a": halves, "b": halves, "c": half})
    stratify(42, load_profile("openkbp7"), StratifyOptions(num_folds=2))
    cascade = Cascade.load(42)
    anchors = {name: value for value, (name, _) in enumerate(branch_labels(cascade, "anchor"), 1)}
    folder = raw / cascade.datasets["anchor"] / "labelsTr"
    written = read_array(folder / "a.nii.gz") == anchors["Bone_Mandible"]
    np.testing.assert_array_equal(written, np.isin(halves, (7, 8)))
    assert not (read_array(folder / "c.nii.gz") == anchors["Bone_Mandible"]).any()
    assert cascade.not_annotated["c"] == ["Bone_Mandible"]


def test_halves_of_a_whole_that_nobody_drew_are_not_annotated(raw, tmp_path):
    whole = volume()
    whole[2:4, 3:9, 3:13] = 7
    write_jaws(raw, {**LABELS, "Mandible": 7}, {"a": whole, "b": whole, "c": volume()})
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"c": ["Unterkiefer"]}))
    stratify(42, HN42, StratifyOptions(num_folds=2, not_annotated=path, empty_means_absent=True))
    assert Cascade.load(42).not_annotated == {"c": ["Bone_Mandible_L", "Bone_Mandible_R"]}


def test_an_alias_is_in_the_record_and_its_label_in_the_branches(raw):
    write_source(raw, labels={**{k: v for k, v in LABELS.items() if k != "Tumour"}, "Kleinhirn x": 3})
    options = StratifyOptions(num_folds=2, aliases={"Kleinhirn x": "Cerebellum"})
    stratify(42, HN42, options)
    cascade = Cascade.load(42)
    assert cascade.labels["Cerebellum"] == 3 and cascade.profile.resolve("kleinhirn-x").name == "Cerebellum"


def clinical_phantoms(raw):
    """Two phantoms drawn and named as in a clinic: the mandible and the thyroid whole, lips, and lenses in the eyes.

    Returns the first one's labels as they were.
    """
    folder = raw / SOURCE
    write_phantom_dataset(folder, num_training=2, num_test=0, shape=(48, 40, 40), spacing_mm=(6.0, 6.0, 6.0))
    number = {organ.name: organ.label for organ in HN42.organs}
    before = read_array(folder / "labelsTr" / "phantom_000.nii.gz")
    for path in sorted((folder / "labelsTr").glob("*.nii.gz")):
        image = sitk.ReadImage(str(path))
        labels = sitk.GetArrayFromImage(image)
        for half, whole in (("Bone_Mandible_R", "Bone_Mandible_L"), ("Glnd_Thyroid_R", "Glnd_Thyroid_L")):
            labels[labels == number[half]] = number[whole]
        for value, organ in ((43, "Cavity_Oral"), (44, "Eye_L"), (45, "Eye_R")):
            first = tuple(np.argwhere(labels == number[organ])[0])
            labels[first] = value
        changed = sitk.GetImageFromArray(labels)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(path))
    clinic = {"Bone_Mandible_L": "Mandible", "Glnd_Thyroid_L": "Schilddrüse", "Parotid_L": "LT PAROTID"}
    halves = ("Bone_Mandible_R", "Glnd_Thyroid_R")
    names = {clinic.get(name, name): label for name, label in number.items() if name not in halves}
    data = read_json(folder / "dataset.json")
    data["labels"] = {"background": 0, **names, "Lippen": 43, "Linse li": 44, "Lens (R)": 45}
    (folder / "dataset.json").write_text(json.dumps(data))
    return before


def test_a_clinics_dataset_has_all_organs_of_the_clinics_profile(raw):
    clinical_phantoms(raw)
    clinic = load_profile("hn_clinic")
    done = stratify(42, clinic, StratifyOptions(num_folds=2))
    assert done.unknown == done.absent == [] and not done.cascade.derived
    named = set()
    for branch in ("anchor", "mid_level", "small_hard"):
        named |= {name for name, _ in branch_labels(done.cascade, branch)}
    assert named == set(clinic.by_name)


def test_the_same_dataset_has_all_organs_of_hn42_by_its_halves(raw):
    before = clinical_phantoms(raw)
    done = stratify(42, HN42, StratifyOptions(num_folds=2))
    assert done.unknown == ["Lippen", "Linse li", "Lens (R)"] and done.absent == []
    assert [derivation.names for derivation in done.cascade.derived] == [("Mandible",), ("Schilddrüse",)]
    derived = read_array(source_cases(done.cascade)["phantom_000"].labels)
    labels = done.cascade.labels
    for name in ("Bone_Mandible_L", "Bone_Mandible_R", "Glnd_Thyroid_L", "Glnd_Thyroid_R"):
        made, truth = derived == labels[name], before == HN42.by_name[name].label
        assert 2 * (made & truth).sum() / (made.sum() + truth.sum()) > 0.95
