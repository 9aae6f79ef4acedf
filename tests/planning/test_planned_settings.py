"""What ``soars-plan`` adds to a regime."""

from dataclasses import replace

import pytest

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import InputError
from soars_nnunet.planning.planned_settings import complete_settings, mean_training_cases, mirror_order
from soars_nnunet.profile import load_profile
from soars_nnunet.settings.regime import load_regime

PROFILE = load_profile("hn42")


@pytest.fixture
def cascade(nnunet_folders):
    """A record of eyes and brainstem, with a split of three and two training cases."""
    labels = {"Brainstem": 1, "Eye_L": 2, "Eye_R": 3}
    made = Cascade("Dataset007_Tiny", PROFILE, {"anchor": "Dataset071_Tiny_Anchor"}, labels)
    made.save()
    splits = [{"train": ["a", "b", "c"], "val": ["d"]}, {"train": ["d", "e"], "val": ["a"]}]
    write_json(made.preprocessed("anchor") / "splits_final.json", splits)
    return made


DATASET_JSON = {"channel_names": {"0": "CT"}, "soars": {"guidance": []}}


def test_a_pass_is_over_the_mean_fold(cascade):
    assert mean_training_cases(cascade, "anchor") == 2.5
    settings = load_regime("demo", "anchor", ["iterations_per_epoch=null", "patches_per_volume=10", "batch_size=4"])
    assert complete_settings(settings, cascade, "anchor", DATASET_JSON).iterations_per_epoch == 7  # of 6.25


def test_a_regime_is_completed_and_otherwise_kept(cascade):
    regime = load_regime("demo", "anchor")
    done = complete_settings(regime, cascade, "anchor", DATASET_JSON)
    assert done.channel_names == {"0": "CT"} and done.split_sha256 == cascade.split_hash("anchor")
    assert (done.mirror.classes, done.mirror.channels) == ((0, 1, 3, 2), (0,))
    kept = replace(done, channel_names=None, split_sha256=None, mirror=regime.mirror)
    assert kept == regime


def test_a_missing_side_forbids_mirroring_alone(cascade):
    one_sided = replace(cascade, labels={"Brainstem": 1, "Eye_L": 2})
    regime = load_regime("demo", "anchor")
    assert complete_settings(regime, one_sided, "anchor", DATASET_JSON).mirror.classes is None
    with pytest.raises(InputError, match="p_mirror: expected both sides of every paired organ"):
        complete_settings(replace(regime, p_mirror=0.5), one_sided, "anchor", DATASET_JSON)


def test_partners_of_partners_are_themselves():
    names = ["CT", *(organ.name for organ in PROFILE.organs)]
    order = mirror_order(names, PROFILE)
    assert [order[index] for index in order] == list(range(len(names)))
    assert sum(index != row for row, index in enumerate(order)) % 2 == 0
    assert mirror_order(["CT"], PROFILE) == (0,)
