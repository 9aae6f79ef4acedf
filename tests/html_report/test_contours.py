import numpy as np
import pytest
from matplotlib.figure import Figure

from soars_nnunet.html_report.contours import Slice, choose_slices, draw_slice, drawn_colors, slice_figure
from soars_nnunet.images.organ_colors import organ_colors
from soars_nnunet.profile import load_profile


def test_colors_are_those_that_viewers_get():
    labels = {organ.name: organ.label for organ in load_profile("hn42").organs}
    colors = drawn_colors(labels)
    assert list(colors) == list(labels) and len(set(colors.values())) == 42
    for name, color in organ_colors(labels).items():
        np.testing.assert_allclose(np.multiply(colors[name], 255), color)


def test_axial_slices_cover_every_organ_with_few():
    labels = np.zeros((30, 8, 8), int)
    labels[2:5, 1:3, 1:3], labels[3:6, 4:6, 4:6], labels[20:22, 2:4, 2:4] = 1, 2, 9
    axial = [place for place in choose_slices(labels) if place.axis == 0]
    assert len(axial) == 2 and axial[0].index in (20, 21) and axial[1].index in (3, 4)


def test_coronal_and_sagittal_slices_go_through_most_organs():
    labels = np.zeros((9, 10, 11), int)
    labels[2, 3, 1:10], labels[4, 3, 7], labels[5, 8, 2] = 1, 2, 3
    assert choose_slices(labels)[-2:] == [Slice(1, 3), Slice(2, 7)]


def test_no_labels_give_the_middle():
    assert choose_slices(np.zeros((8, 10, 12), int)) == [Slice(0, 4), Slice(1, 5), Slice(2, 6)]


def draw(place, labels, colors):
    axes = Figure().add_subplot()
    drawn = draw_slice(axes, np.zeros(labels.shape), labels, place, colors=colors, spacing_mm=(3.0, 1.0, 2.0))
    boxes = [path.get_extents() for collection in axes.collections for path in collection.get_paths()]
    return drawn, [np.round(box.extents, 3).tolist() for box in boxes], axes


def test_contours_lie_around_the_voxels():
    labels = np.zeros((6, 7, 8), int)
    labels[2, 3:5, 5:8] = 4
    labels[2, 0, 0] = 2
    drawn, boxes, axes = draw(Slice(0, 2), labels, {4: (1, 0, 0)})
    assert drawn == [4] and boxes == [[4.5, 2.5, 7.5, 4.5]]  # x from, y from, x to, y to; closed at the border
    assert axes.get_aspect() == pytest.approx(0.5)


def test_coronal_slices_stand_head_up():
    labels = np.zeros((6, 7, 8), int)
    labels[5, 3, 1:3] = 1
    _, boxes, axes = draw(Slice(1, 3), labels, {1: (1, 0, 0)})
    assert boxes == [[0.5, -0.5, 2.5, 0.5]] and axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_aspect() == pytest.approx(1.5)


def test_a_figure_has_the_shape_of_its_slice_in_mm():
    labels = np.zeros((6, 8, 10), int)
    labels[:, 2:4, 3:5] = 1
    figure, drawn = slice_figure(
        np.zeros(labels.shape),
        labels,
        Slice(1, 3),
        colors={1: (1, 0, 0)},
        window_hu=(-160, 240),
        spacing_mm=(5.0, 1.0, 2.0),
    )
    width, height = figure.get_size_inches()
    assert drawn == [1] and height / width == pytest.approx(6 * 5.0 / (10 * 2.0))


def test_no_more_axial_slices_than_asked_for():
    labels = np.zeros((20, 4, 4), int)
    labels[range(0, 20, 2), 1, 1] = np.arange(1, 11)
    axial = [place.index for place in choose_slices(labels, most_axial=3) if place.axis == 0]
    assert len(axial) == 3 and axial == sorted(axial, reverse=True)
