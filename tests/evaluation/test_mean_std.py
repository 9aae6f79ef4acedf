import pytest

from soars_nnunet.evaluation.mean_std import format_mean_std, format_number


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.875, {"digits": 2}, "0.88"),
        (0.875, {"digits": 1, "scale": 100.0}, "87.5"),
        (-0.5, {}, "-0.5"),
        (3.25, {"width": 6}, "   3.2"),
        (None, {}, "-"),
        (None, {"width": 3}, "  -"),
        (float("nan"), {}, "nan"),
    ],
)
def test_numbers(value, options, text):
    assert format_number(value, **options) == text


@pytest.mark.parametrize(
    ("mean", "std", "options", "text"),
    [
        (4.5, 0.75, {}, "4.5 ± 0.8"),
        (0.9, 0.05, {"scale": 100.0, "sign": "±"}, "90.0±5.0"),
        (4.5, None, {"digits": 2}, "4.50"),
        (None, None, {}, "-"),
        (None, 1.0, {}, "-"),
        (3.0, 1.25, {"width": 5}, "  3.0 ±  1.2"),
        (123.4, 12.3, {"width": 5}, "123.4 ± 12.3"),
    ],
)
def test_mean_and_standard_deviation(mean, std, options, text):
    assert format_mean_std(mean, std, **options) == text
