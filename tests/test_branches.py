"""The table of networks, against the trainers and the profile's tiers."""

from soars_nnunet.branches import BRANCHES
from soars_nnunet.nnunet_ext import soars_trainers
from soars_nnunet.profile import TIERS


def test_every_branch_has_a_trainer_a_tier_and_a_guide_that_is_trained_before():
    seen = []
    for key, branch in BRANCHES.items():
        assert branch.key == key
        assert hasattr(soars_trainers, branch.trainer)
        assert branch.tier in (*TIERS, "all", "cascade")
        assert branch.guided_by is None or branch.guided_by in seen
        seen.append(key)


def test_suffixes_tell_branches_apart():
    suffixes = [branch.suffix for branch in BRANCHES.values()]
    assert len(set(suffixes)) == len(suffixes)
