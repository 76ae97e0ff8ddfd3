"""Format values, intervals and p-values for all tables and reports.

A dash stands for a missing value, ∞ and −∞ for infinite values, and the minus sign is U+2212.
"""

from __future__ import annotations

import math

NONE = "–"
SMALLEST_P = 0.0001
SHORTEST_S = 1e-5  # below this, three figures of milliseconds would show more digits than any clock measures


def fixed(value: float | None, digits: int, *, signed: bool = False) -> str:
    """Return a number with a fixed number of decimal places.

    Args:
        value: The number, or None if there is none.
        digits: The number of decimal places.
        signed: Whether to put a plus before numbers that are not negative.

    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = round(value, digits) + 0.0  # adding 0 makes 0.0 of -0.0
    return _minus(f"{rounded:{'+' if signed else ''}.{digits}f}")


def figures(value: float | None) -> str:
    """Return a number with three significant figures and without an exponent: 3178, 23.6, 0.0228."""
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    return _minus(f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}")


def milliseconds(seconds: float | None) -> str:
    """Return seconds as milliseconds with three significant figures and at most four decimal places."""
    if seconds is None or seconds >= SHORTEST_S:
        return figures(None if seconds is None else seconds * 1000)
    return fixed(seconds * 1000, 4)


def interval(low: float | None, high: float | None, digits: int, *, signed: bool = False) -> str:
    """Return an interval as `26.01 to 27.50`, or a dash if either end is missing.

    Args:
        low: The lower end.
        high: The upper end.
        digits: The number of decimal places.
        signed: Whether to put a plus before numbers that are not negative.

    """
    if low is None or high is None:
        return NONE
    return f"{fixed(low, digits, signed=signed)} to {fixed(high, digits, signed=signed)}"


def p_value(value: float | None) -> str:
    """Return a p-value with two significant figures; below 0.0001, return only `<0.0001`."""
    if value is None:
        return NONE
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:.2g}"


def _minus(text: str) -> str:
    """Return a text with minus signs (U+2212) in place of hyphens."""
    return text.replace("-", "−")
