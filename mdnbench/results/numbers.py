"""Numbers as texts: the one place that decides how a value, an interval or a p-value is written.

A dash stands for none, ∞ and −∞ for infinite values, and the minus is the sign U+2212.
"""

from __future__ import annotations

import math

NONE = "–"
SMALLEST_P = 0.0001
SHORTEST_S = 1e-5  # below, three figures of milliseconds would be more digits than any clock has


def fixed(value: float | None, digits: int, *, signed: bool = False) -> str:
    """Return a number with so many digits after the point; with `signed`, a plus before what is not negative."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = round(value, digits) + 0.0  # adding 0 makes 0.0 of -0.0
    return _minus(f"{rounded:{'+' if signed else ''}.{digits}f}")


def figures(value: float | None) -> str:
    """Return a number with three figures and never in exponents: 3178, 23.6, 0.0228."""
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    return _minus(f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}")


def milliseconds(seconds: float | None) -> str:
    """Return seconds as milliseconds with three figures, and no more than four digits after the point."""
    if seconds is None or seconds >= SHORTEST_S:
        return figures(None if seconds is None else seconds * 1000)
    return fixed(seconds * 1000, 4)


def interval(low: float | None, high: float | None, digits: int, *, signed: bool = False) -> str:
    """Return both ends of an interval, as `26.01 to 27.50`; a dash where one is not known."""
    if low is None or high is None:
        return NONE
    return f"{fixed(low, digits, signed=signed)} to {fixed(high, digits, signed=signed)}"


def p_value(value: float | None) -> str:
    """Return a p-value with two figures; those too small to matter are only bounded."""
    if value is None:
        return NONE
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:.2g}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
