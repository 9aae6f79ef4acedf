"""The data class that checks of anatomy work on."""

import dataclasses

import pytest

from soars_nnunet.anatomy.measures import OrganMeasure


def test_measures_cannot_be_changed():
    measure = OrganMeasure((1.0, 2.0, 3.0), 4.5, True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        measure.volume_ml = 5.0
