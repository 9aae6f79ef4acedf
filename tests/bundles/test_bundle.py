"""An opened bundle is the cascade that it was made from."""

import torch

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.networks.model_folder import TrainedCascade


def test_a_bundle_has_the_plans_and_weights_of_the_cascade(tiny_bundle, untrained_cascade):
    trained = TrainedCascade(untrained_cascade.manifest(DEFAULT_PLANS))
    bundle = Bundle(tiny_bundle)
    bundle.verify()
    assert set(bundle.manifest.branches) == set(trained.manifest.branches)
    assert bundle.manifest.fingerprint == trained.manifest.fingerprint
    for key in trained.manifest.branches:
        there, made = bundle.branch(key), trained.branch(key)
        assert there.folds == made.folds == [0, 1] and there.name == "tiny"
        assert there.plans == made.plans
        for fold in (0, 1):
            expected = made.weights(fold)
            weights = there.weights(fold)
            assert list(weights) and set(weights) == set(expected)
            for name, tensor in expected.items():
                assert weights[name].dtype == tensor.dtype and torch.equal(weights[name], tensor)
    assert bundle.bundle.sha256 == file_hash(tiny_bundle / "manifest.json")
    assert bundle.card == {"metadata": {"name": "tiny"}} and bundle.card_text.startswith("# tiny")
