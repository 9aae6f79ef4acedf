"""JSON of a model folder that is of the right syntax and the wrong shape: refused in one line, whatever it says."""

import json
import shutil

import pytest

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade

P = "configurations.3d_fullres"
CT = "foreground_intensity_properties_per_channel.0"

MANIFEST = {
    "manifest []": ("", [], "expected a cascade's manifest, got other JSON"),
    "manifest null": ("", None, "expected a cascade's manifest, got other JSON"),
    "manifest targets null": ("targets", None, "targets: expected an object, got None"),
    "manifest target lacks size": ("targets.Pituitary.size_mm", ..., "targets.Pituitary: expected the keys size_mm"),
    "manifest target size 2 numbers": ("targets.Pituitary.size_mm", [30, 20], "a list of 3 items, got 2"),
    "manifest target size NaN": (
        "targets.Pituitary.size_mm.0",
        float("nan"),
        "expected a number from 1 to 1000, got nan",
    ),
    "manifest low_confidence NaN": (
        "targets.Pituitary.low_confidence_below",
        float("nan"),
        "expected a number .* got nan",
    ),
    "manifest branches list": ("branches", [], "branches: expected an object"),
    "manifest branches empty": ("branches", {}, "branches: expected branches out of anchor"),
    "manifest branch is string": ("branches.anchor", "x", "branches.anchor: expected an object, got 'x'"),
    "manifest unknown branch": ("branches.root", {}, "branches: expected branches out of anchor.* got root"),
    "manifest model null": ("branches.anchor.model", None, "anchor.model: expected a text"),
    "manifest model with NUL": ("branches.anchor.model", "../../a\0b", "anchor.model: expected a folder below"),
    "manifest model absolute": ("branches.anchor.model", "/etc", "anchor.model: expected a folder below"),
    "manifest model far above": ("branches.anchor.model", "../../../../x/y", "anchor.model: expected a folder below"),
    "manifest classes missing": ("branches.anchor.classes", ..., "branches.anchor: expected the keys classes"),
    "manifest classes extra organ": (
        "branches.anchor.classes.0",
        "Nose",
        "organs of tier anchor in the profile, got Nose",
    ),
    "manifest class twice": ("branches.anchor.classes.0", "Cerebellum", "at least one class, each once"),
    "manifest classes of another branch": ("branches.anchor.classes.0", "Parotid_L", "organs of tier anchor"),
    "manifest training_patients null": ("branches.anchor.training_patients", None, "expected a list, got None"),
    "manifest patients are names": ("branches.anchor.training_patients.0", ["Doe"], "expected a text like"),
    "manifest guidance of others": ("branches.mid_level.guidance", ["Nose"], "none, or the classes of anchor"),
    "manifest weights list": ("branches.anchor.weights", [1], "weights: expected an object"),
    "manifest weights no hash": ("branches.anchor.weights", {"0": "x"}, "weights.0: expected a text like"),
    "manifest pattern explodes": ("patient_pattern", "((a+)+)+$", "which takes more than"),
    "manifest pattern number": ("patient_pattern", 3, "patient_pattern: expected a text"),
    "manifest provenance list": ("provenance", ["x"], "provenance: expected an object"),
    "manifest organ label bool": ("profile.organs.0.label", True, "label: expected a whole number"),
    "manifest organ null": ("profile.organs.0", None, "organs.0: expected an object"),
    "manifest anatomy list": ("anatomy", [], "anatomy: expected an object"),
    "manifest anatomy of no organ": ("anatomy", {"Nose": {}}, "expected an organ of the profile, got Nose"),
}
PLANS = {
    "plans []": ("", [], "plans.json: expected an object, got .."),
    "plans null": ("", None, "plans.json: expected an object, got None"),
    "plans configuration null": (P, None, "3d_fullres: expected an object, got None"),
    "plans configurations list": ("configurations", [], "configurations: expected an object"),
    "plans spacing 0": (f"{P}.spacing", [0, 1, 1], "spacing.0: expected a number from 0.1 to 50, got 0"),
    "plans spacing NaN": (f"{P}.spacing.1", float("nan"), "spacing.1: expected a number from 0.1 to 50, got nan"),
    "plans spacing text": (f"{P}.spacing", "2", "spacing: expected a list"),
    "plans std 0": (f"{CT}.std", 0, "0.std: expected a number from 1e-06"),
    "plans std NaN": (f"{CT}.std", float("nan"), "0.std: expected a number .* got nan"),
    "plans percentiles swapped": (f"{CT}.percentile_00_5", 5000, "expected a window from a lower to a higher number"),
    "plans intensities null": ("foreground_intensity_properties_per_channel", None, "expected an object, got None"),
    "plans features 10^6": (f"{P}.architecture.arch_kwargs.features_per_stage.0", 10**6, "number from 1 to 1024"),
    "plans strides 0": (f"{P}.architecture.arch_kwargs.strides.1", [0, 1, 1], "strides.1.0: expected a whole number"),
    "plans unknown kind": (f"{P}.architecture.arch_kwargs.genotype.0", "4D3", "genotype.0: expected 2D3 or"),
    "plans another class": (f"{P}.architecture.network_class_name", "os.system", "network_class_name: expected a text"),
    "plans a hook": (
        f"{P}.architecture.arch_kwargs.hook",
        "x",
        "arch_kwargs: expected known keys alone, got also hook",
    ),
    "plans patch 0": (f"{P}.patch_size", [0, 16, 16], "patch_size.0: expected a whole number from 1 to 1024"),
    "plans patch of 10^9 voxels": (
        f"{P}.patch_size",
        [1024, 1024, 1024],
        "patch_size: expected at most 33554432 voxels",
    ),
    "plans inherits_from itself": (f"{P}.inherits_from", "3d_fullres", "expected a configuration of its own"),
    "plans label_manager os.system": ("label_manager", "os.system", "label_manager: expected 'LabelManager'"),
    "plans reader": ("image_reader_writer", "Evil", "image_reader_writer: expected 'SimpleITKIOWithReorient'"),
    "plans transposed": ("transpose_forward", [2, 1, 0], r"transpose_forward: expected \[0, 1, 2\]"),
    "plans normalised otherwise": (
        f"{P}.normalization_schemes.0",
        "ZScoreNormalization",
        "normalization_schemes: expected",
    ),
    "plans soars null": (f"{P}.soars", None, "soars: expected an object, got None"),
    "plans soars.branch missing": (f"{P}.soars.branch", ..., "soars: expected the keys branch"),
    "plans soars.branch another": (
        f"{P}.soars.branch",
        "detection",
        "soars.branch: expected 'anchor', got 'detection'",
    ),
    "plans soars.step_size 0": (f"{P}.soars.step_size", [0, 0, 0], "step_size: expected 3 numbers, above 0"),
    "plans soars.sigma NaN": (f"{P}.soars.sigma_mm", float("nan"), "sigma_mm: expected number, 0.1 to 200, got nan"),
    "plans soars.mirror null": (f"{P}.soars.mirror", None, "soars.mirror: expected an object"),
    "plans soars.mirror lacks classes": (f"{P}.soars.mirror.classes", ..., "soars.mirror: expected the keys classes"),
    "mirror out of range": (f"{P}.soars.mirror.classes.1", 99, "mirror.classes.1: expected a whole number from 0 to"),
    "plans soars.start garbage": (f"{P}.soars.start", {"bundle": 3}, "soars.start: expected the keys"),
    "plans soars.guidance text": (f"{P}.soars.guidance", "x", "soars.guidance: expected .., got 'x'"),
}
REACH = {
    "mid plans reach garbage": ("mid_level", f"{P}.soars.reach", [["x"]], "soars.reach.0.0: expected a list"),
    "mid plans reach NaN": (
        "mid_level",
        f"{P}.soars.reach",
        [[[[float("nan")] * 3] * 2]],
        "reach.0.0.0.0: expected a number",
    ),
    "det plans sides garbage": ("detection", f"{P}.soars.sides", [3], "soars.sides.0: expected a list, got 3"),
    "det plans sides out of range": (
        "detection",
        f"{P}.soars.sides",
        [[[0, 99, 50.0]]],
        "sides.0.0.1: expected a whole",
    ),
    "det plans background text": (
        "detection",
        f"{P}.architecture.arch_kwargs.constant_background",
        "x",
        "constant_background: expected a number",
    ),
}
DATASET = {
    "model dataset.json []": ("", [], "dataset.json: expected an object"),
    "model dataset.json no labels": ("labels", ..., "dataset.json: expected the keys labels"),
    "model dataset.json no channels": ("channel_names", ..., "dataset.json: expected the keys channel_names"),
    "model dataset.json labels list": ("labels", [], "labels: expected an object"),
    "model dataset.json label text": ("labels.Brainstem", "1", "labels.Brainstem: expected [0-9]+, got '1'"),
    "model dataset.json further label": ("labels.Nose", 77, "labels: expected the labels background, .* Nose"),
    "model dataset.json further channel": ("channel_names.1", "noNorm", "channel_names: expected"),
    "model dataset.json file_ending path": ("file_ending", "/../x", "file_ending: expected a text like"),
}
POSTPROCESSING = {
    "postprocessing null": ("", None, "postprocessing.json: expected an object"),
    "postprocessing empty": ("", {}, "expected the keys largest_part, models"),
    "postprocessing largest_part null": ("largest_part", None, "largest_part: expected a list, got None"),
    "postprocessing largest_part unknown organ": ("largest_part", ["Nose"], "largest_part.0: expected an organ of the"),
    "postprocessing models list": ("models", [], "models: expected an object"),
    "postprocessing model hash": ("models", {"anchor": ["x"]}, "models.anchor.0: expected a text like"),
    "postprocessing dsc text": (
        "effects",
        [{"organ": "Brainstem", "n": 1, "dsc": "x", "dsc_largest": 1}],
        "dsc: expected",
    ),
}


@pytest.fixture
def folder(untrained_cascade, tmp_path):
    """The JSON files of a trained cascade, without its weights; folder of the manifest."""
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    results = manifest.parents[2]
    for path in [manifest, *results.glob("*/*/plans.json"), *results.glob("*/*/dataset.json")]:
        copy = tmp_path / path.relative_to(results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    decided = {"largest_part": ["Brainstem"], "models": {"anchor": ["ab" * 32]}}
    copied = tmp_path / manifest.parent.relative_to(results)
    (copied / "postprocessing.json").write_text(json.dumps(decided))
    return copied


def put(path, keys, value):
    """Exchange a value of a JSON file, or remove it; without keys all of it."""
    data = read_json(path)
    *parents, last = keys.split(".")
    place = data
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if not keys:
        data = value
    elif value is ...:
        place.pop(last, None)
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    path.write_text(json.dumps(data))


def refuse(folder, match):
    cascade = TrainedCascade(folder / "manifest.json")
    with pytest.raises(MissingArtifactError, match=match) as refused:
        for key in cascade.manifest.branches:
            _ = cascade.branch(key).plans
        cascade.postprocessing()
    assert str(refused.value).isprintable() and "; " in str(refused.value)


def test_what_soars_plan_writes_is_taken(folder):
    cascade = TrainedCascade(folder / "manifest.json")
    for key in cascade.manifest.branches:
        assert cascade.branch(key).plans and cascade.branch(key).dataset_json
    assert cascade.postprocessing()["largest_part"] == ["Brainstem"]


def test_plans_of_older_versions_are_taken(folder):
    """They lack settings, have others, and name the network's class where it was."""
    (path,) = folder.parents[1].glob("*_Anchor/*/plans.json")
    for setting in ("optimizer", "mirror", "low_pass_ratio", "search_seed"):
        put(path, f"{P}.soars.{setting}", ...)
    put(path, f"{P}.soars.setting_of_another_version", [1, 2])
    put(path, "key_of_nnunet", {"a": 1})
    put(path, f"{P}.architecture.network_class_name", "soars_nnunet.phnn.PHNN")
    assert TrainedCascade(folder / "manifest.json").branch("anchor").plans["key_of_nnunet"] == {"a": 1}


@pytest.mark.parametrize("odd", MANIFEST)
def test_odd_manifests(folder, odd):
    keys, value, match = MANIFEST[odd]
    put(folder / "manifest.json", keys, value)
    refuse(folder, match)


@pytest.mark.parametrize("odd", PLANS)
def test_odd_plans(folder, odd):
    keys, value, match = PLANS[odd]
    (path,) = folder.parents[1].glob("*_Anchor/*/plans.json")
    put(path, keys, value)
    refuse(folder, match)


@pytest.mark.parametrize("odd", REACH)
def test_odd_plans_of_guided_branches(folder, odd):
    branch, keys, value, match = REACH[odd]
    suffix = {"mid_level": "MidLevel", "detection": "Detection"}[branch]
    (path,) = folder.parents[1].glob(f"*_{suffix}/*/plans.json")
    put(path, keys, value)
    refuse(folder, match)


@pytest.mark.parametrize("odd", DATASET)
def test_odd_datasets(folder, odd):
    keys, value, match = DATASET[odd]
    (path,) = folder.parents[1].glob("*_Anchor/*/dataset.json")
    put(path, keys, value)
    refuse(folder, match)


@pytest.mark.parametrize("odd", POSTPROCESSING)
def test_odd_postprocessing(folder, odd):
    keys, value, match = POSTPROCESSING[odd]
    put(folder / "postprocessing.json", keys, value)
    refuse(folder, match)


def test_permuted_labels_contradict_the_manifest(folder):
    (path,) = folder.parents[1].glob("*_Anchor/*/dataset.json")
    labels = read_json(path)["labels"]
    first, second = list(labels)[1:3]
    put(path, "labels", {**labels, first: labels[second], second: labels[first]})
    refuse(folder, f"2 faults: labels.{first}: expected 1, got 2 . labels.{second}: expected 2, got 1")


def test_permuted_classes_contradict_the_model(folder):
    classes = read_json(folder / "manifest.json")["branches"]["small_hard"]["classes"]
    put(folder / "manifest.json", "branches.small_hard.classes", classes[1::-1] + classes[2:])
    refuse(folder, "dataset.json: 2 faults: labels")


def test_all_faults_of_a_file_are_listed(folder):
    (path,) = folder.parents[1].glob("*_Anchor/*/plans.json")
    put(path, f"{P}.spacing", [0, 1, 1])
    put(path, f"{P}.batch_size", "2")
    put(path, f"{CT}.std", None)
    put(path, f"{P}.soars.num_epochs", 0)
    refuse(folder, r"plans.json: 4 faults: .*std: .*spacing.0: .*batch_size: .*num_epochs: .*; restore the file")
