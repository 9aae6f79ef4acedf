import math
from dataclasses import replace

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.settings.passes import complete_passes
from soars_nnunet.settings.regime import load_regime

PAPER = load_regime("paper", "anchor")


@pytest.mark.parametrize("cases", [1, 10.25, 107])
def test_an_epoch_shows_every_patch_once(cases):
    done = complete_passes(PAPER, cases)
    assert (done.iterations_per_epoch - 1) * 12 < cases * 70 <= done.iterations_per_epoch * 12
    of_weights = cases * (1 - 0.333) * 70
    assert done.search_iterations_per_epoch == math.ceil(of_weights / 2)
    assert replace(done, iterations_per_epoch=None, search_iterations_per_epoch=None) == PAPER


def test_given_iterations_stay():
    demo = load_regime("demo", "anchor")
    assert complete_passes(demo, 30) == demo
    one = complete_passes(replace(PAPER, search_iterations_per_epoch=7), 30)
    assert one.search_iterations_per_epoch == 7 and one.iterations_per_epoch == 175


def test_a_pass_over_unknown_patches_is_refused():
    with pytest.raises(InputError, match="^iterations_per_epoch=null: expected patches_per_volume beside it"):
        complete_passes(replace(PAPER, patches_per_volume=None), 30)
    with pytest.raises(InputError, match="^search_iterations_per_epoch=null"):
        complete_passes(replace(PAPER, patches_per_volume=None, iterations_per_epoch=5), 30)
