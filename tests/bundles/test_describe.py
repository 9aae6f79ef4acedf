"""A bundle in a line."""

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.describe import describe, organs_of
from soars_nnunet.prediction.trained_models import choose_organs


def test_the_line_has_organs_data_and_licence(tiny_bundle):
    bundle = Bundle(tiny_bundle)
    organs = organs_of(bundle)
    assert organs == choose_organs(bundle.manifest, None), "targets of the detection branch are none"
    assert describe(bundle) == f"{len(organs)} organ(s); trained on 4 phantoms; licence CC-BY-4.0"
    branches = bundle.described.cascade.branches
    for key in set(branches) - {"anchor"}:
        del branches[key]
    names = ", ".join(organs_of(bundle))
    assert describe(bundle).startswith(f"{len(organs_of(bundle))} organ(s) ({names}); trained") and "Eye_L" in names
