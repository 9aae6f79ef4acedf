"""Measuring organs, against SimpleITK's own statistics."""

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.images.organ_measures import measure_organs


@pytest.fixture
def image():
    labels = np.zeros((9, 10, 11), np.uint8)
    labels[2:5, 3:7, 1:4] = 1
    labels[3, 4, 5] = 1
    labels[0, 2:4, 2:4] = 3
    made = sitk.GetImageFromArray(labels)
    made.SetSpacing((0.5, 2.0, 3.0))
    made.SetOrigin((-10.0, 20.0, 35.5))
    made.SetDirection((0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0))
    return made


def test_centres_and_volumes_are_those_of_simpleitk(image):
    measures = measure_organs(sitk.GetArrayFromImage(image), image, {"a": 1, "b": 2, "c": 3})
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(image)
    assert list(measures) == ["a", "c"], "no organ without a voxel"
    for name, label in (("a", 1), ("c", 3)):
        assert measures[name].center_mm == pytest.approx(statistics.GetCentroid(label))
        assert measures[name].volume_ml == pytest.approx(statistics.GetPhysicalSize(label) / 1000)
    assert (measures["a"].is_whole, measures["c"].is_whole) == (True, False)


def test_no_organ_has_no_measure(image):
    assert measure_organs(sitk.GetArrayFromImage(image), image, {}) == {}
    assert measure_organs(np.zeros((2, 2, 2), np.int32), image, {"a": 1}) == {}
