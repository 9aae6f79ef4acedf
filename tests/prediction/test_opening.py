"""A path is opened as what lies there."""

import pytest

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.write import zip_bundle
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.prediction.opening import open_cascade


def test_trainings_and_bundles_are_told_apart(untrained_cascade, tiny_bundle, tmp_path):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    for path in (manifest, manifest.parent):
        opened = open_cascade(path)
        assert isinstance(opened, TrainedCascade) and opened.path == manifest
    zipped = tmp_path / "tiny.zip"
    zip_bundle(tiny_bundle, zipped)
    for path in (tiny_bundle, tiny_bundle / "manifest.json", zipped):
        opened = open_cascade(path)
        assert isinstance(opened, Bundle) and opened.name == "tiny"


def test_neither_is_refused(tmp_path):
    with pytest.raises(MissingArtifactError, match="manifest.json"):
        _ = open_cascade(tmp_path).manifest
