"""What several tests of prediction share."""

import shutil

import pytest
from prediction.cases import ct_of

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.prediction.predictor import CascadePredictor


@pytest.fixture(scope="package")
def predictor(untrained_cascade):
    return CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS))


@pytest.fixture(scope="package")
def image(untrained_cascade):
    return ct_of(untrained_cascade)


@pytest.fixture(scope="package")
def prediction(predictor, image):
    """Labels and report of ``image``."""
    return predictor.predict(image, "somebody")


@pytest.fixture
def model_copy(untrained_cascade, tmp_path):
    """Model folder of the anchors, which a test may damage."""
    folder = untrained_cascade.model("anchor", DEFAULT_PLANS)
    return shutil.copytree(folder, tmp_path / folder.name)
