"""Numbers and "mean ± standard deviation" as text, for every table and log line of the package."""

from __future__ import annotations

MISSING = "-"
"""Text of a value that there is not."""


def format_number(value: float | None, digits: int = 1, scale: float = 1.0, *, width: int = 0) -> str:
    """A number with a fixed number of decimals.

    Args:
        value: The number; None gives ``MISSING``.
        digits: Decimals.
        scale: Factor to the unit that is shown, such as 100 for per cent.
        width: Fewest characters; spaces are put in front.
    """
    if value is None:
        return MISSING.rjust(width)
    return f"{value * scale:{width}.{digits}f}"


def format_mean_std(
    mean: float | None,
    std: float | None,
    digits: int = 1,
    scale: float = 1.0,
    *,
    sign: str = " ± ",
    width: int = 0,
) -> str:
    """A mean and its standard deviation, in the same unit and with the same decimals.

    Args:
        mean: The mean; None gives ``MISSING`` alone.
        std: The standard deviation; None gives the mean alone.
        digits: Decimals of both.
        scale: Factor to the unit that is shown.
        sign: Text between the two.
        width: Fewest characters of the mean; the deviation has one fewer.
    """
    text = format_number(mean, digits, scale, width=width)
    if mean is None or std is None:
        return text
    return text + sign + format_number(std, digits, scale, width=max(0, width - 1))
