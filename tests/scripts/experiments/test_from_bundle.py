"""scripts/experiments/from_bundle.py: which patients train, and that the two arms differ in their weights alone."""

import argparse
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from scripts.experiments import from_bundle
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import load_genotypes
from soars_nnunet.planning.remembered import merged_genotypes
from soars_nnunet.profile import load_profile
from soars_nnunet.settings.regime import load_regime

LACKING = {"a": ["Larynx", "Esophagus"], "b": ["Larynx"], "c": [], "d": [], "e": ["Larynx"]}


@pytest.fixture
def options(tmp_path):
    """Five cases: the bundle's fold has seen e, organs are lacking in a and b."""
    dataset = tmp_path / "Dataset009_Real"
    ct = sitk.GetImageFromArray(np.full((4, 4, 4), 400, np.int16))
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[0] = 7
    for case in LACKING:
        for folder, name, image in (
            ("imagesTr", f"{case}_0000", ct),
            ("labelsTr", case, sitk.GetImageFromArray(labels)),
        ):
            (dataset / folder).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(image, str(dataset / folder / f"{name}.nii.gz"))
    names = {organ.name: organ.label for organ in load_profile("openkbp7").organs}
    facts = {"channel_names": {"0": "CT"}, "labels": {"background": 0, **names}, "file_ending": ".nii.gz"}
    write_json(dataset / "dataset.json", facts)
    write_json(dataset / "cases.json", LACKING)
    return argparse.Namespace(
        bundles_dataset=dataset,
        output=tmp_path / "out",
        profile="openkbp7",
        one_tier=True,
        fold=1,
        training=2,
        held_out=None,
        drop=["Parotid_L"],
        add_bone=True,
        seed=0,
    )


@pytest.fixture
def bundle():
    asked = []

    def trained_on(branch, folds):
        asked.append((branch, folds))
        return set(name_hashes(["e", "x"]))

    return SimpleNamespace(manifest=SimpleNamespace(trained_on=trained_on, patient_pattern=None), asked=asked)


def test_patients_whom_the_fold_has_not_seen_train_if_few_organs_are_lacking(options, bundle):
    profile = load_profile("openkbp7")
    patients = from_bundle.choose_patients(options, bundle, profile)
    assert (patients.training, patients.held_out) == (["c", "d"], ["a", "b"])
    assert bundle.asked == [("anchor", [1])]
    options.held_out = 1
    assert len(from_bundle.choose_patients(options, bundle, profile).held_out) == 1
    options.training = 4
    with pytest.raises(SystemExit, match="expected more than 4 patients new to fold 1, got 4"):
        from_bundle.choose_patients(options, bundle, profile)


def test_the_profile_lacks_what_is_dropped_and_has_what_is_added(options):
    profile = from_bundle.own_profile(argparse.Namespace(**{**vars(options), "drop": ["Larynx"]}))
    names = [organ.name for organ in profile.organs]
    assert names == ["Brainstem", "SpinalCord", "Bone_Mandible", "Parotid_L", "Parotid_R", "Esophagus", "Bone"]
    assert [organ.label for organ in profile.organs] == list(range(1, 8))
    assert {organ.tier for organ in profile.organs} == {"anchor"}


def test_bone_is_what_is_dense_and_no_organ(options, tmp_path):
    entry = from_bundle.file_entries(options.bundles_dataset, ["c"])["c"]
    painted = from_bundle.add_bone(entry, tmp_path / "painted", 8)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(painted["label"]))
    assert (labels[0] == 7).all() and (labels[1:] == 8).all() and painted["images"] == entry["images"]


def test_new_weights_get_the_bundles_network(tiny_bundle, tmp_path):
    plans = PlansFile(open_bundle(tiny_bundle).branch("anchor").plans)
    named, more = from_bundle.scratch_options(plans, tmp_path)
    settings = load_regime("paper", "anchor", named)
    assert settings.features_per_stage == (4, 4, 8, 8) and settings.hu_per_unit == plans.hu_per_unit
    assert list(settings.max_patch_voxels) == plans.configuration["patch_size"] and settings.max_patch_mm is None
    assert more[:4] == ["--spacing", "9.0", "8.0", "8.0"]
    assert load_genotypes(more[-1])["anchor"]["kinds"] == ["2D3", "2D5", "2D3", "3D5"]
    cascade = SimpleNamespace(datasets={"anchor": "Dataset121_Few"}, source="Few")
    assert merged_genotypes([tmp_path / "genotype.json"], cascade)


def test_a_dataset_of_others_is_refused(options, monkeypatch):
    prepared = []
    monkeypatch.setattr(from_bundle, "prepare", lambda *given: prepared.append(given))
    profile = load_profile("openkbp7")
    patients = from_bundle.Patients(["a"], ["b"])
    for _ in range(2):
        from_bundle.require_prepared(options, patients, profile)
    assert len(prepared) == 1 and read_json(options.output / "prepared.json")["training"] == ["a"]
    with pytest.raises(SystemExit, match="other patients or organs"):
        from_bundle.require_prepared(options, from_bundle.Patients(["b"], ["a"]), profile)


def test_a_table_a_number_of_epochs_and_one_against_the_bundle_as_it_is():
    arms = {"from scratch": {"Larynx": {"a": 0.5, "b": 0.6}}, "from the bundle": {"Larynx": {"a": 0.7, "b": 0.7}}}
    text = from_bundle.tables({4: arms, 1: arms}, {4: 200, 1: 50})
    assert text.index("50 steps:") < text.index("200 steps:") and "+15.0" in text
    untouched = from_bundle.untouched_table({1: {}, 4: arms}, {"Larynx": {"a": 0.6, "b": 0.6}})
    assert "bundle, untouched" in untouched and "-5.0" in untouched
