"""What several tests of prediction share."""

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
