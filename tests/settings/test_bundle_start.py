import json
from dataclasses import replace

from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.bundle_start import BundleStart, FirstWeights
from soars_nnunet.settings.regime import fine_tuning_settings, load_regime

START = BundleStart(
    bundle="openkbp7",
    sha256="ab" * 32,
    branch="anchor",
    kept=("Brainstem", "Larynx"),
    added=("Lips",),
    patients="initial_weights_nnUNetPlans.json",
    folds=(FirstWeights("initial_weights_nnUNetPlans_fold_0.safetensors", "cd" * 32, 2),),
)


def test_a_start_travels_in_the_settings_of_its_branch():
    settings = replace(load_regime("demo", "anchor"), start=START)
    text = json.dumps(settings.to_json())
    assert json.loads(text)["start"]["folds"][0]["fold"] == 2
    assert BranchSettings.from_json(json.loads(text)) == settings
    assert "start" not in load_regime("demo", "anchor").to_json()


def test_the_joint_fine_tuning_starts_from_the_trained_branches_instead():
    anchors = replace(load_regime("demo", "anchor"), start=START)
    assert fine_tuning_settings(anchors).start is None
