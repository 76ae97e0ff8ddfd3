"""Numbers as texts: one sign for the minus, one for none, and no digits that mean nothing."""

from __future__ import annotations

import math

import pytest

from mdnbench.results import numbers


@pytest.mark.parametrize(
    ("value", "shown", "signed"),
    [
        (26.765, "26.77", "+26.77"),
        (-0.126, "−0.13", "−0.13"),
        (-0.001, "0.00", "+0.00"),
        (None, "–", "–"),
        (math.nan, "–", "–"),
        (math.inf, "∞", "∞"),
        (-math.inf, "−∞", "−∞"),
    ],
)
def test_a_number_has_fixed_digits(value: float | None, shown: str, signed: str) -> None:
    """With a sign where one is asked for; what rounds to zero is no negative zero."""
    assert numbers.fixed(value, 2) == shown
    assert numbers.fixed(value, 2, signed=True) == signed


@pytest.mark.parametrize(
    ("value", "shown"), [(3178.4, "3178"), (23.64, "23.6"), (0.02284, "0.0228"), (-5.336, "−5.34"), (None, "–")]
)
def test_a_figure_has_three_digits(value: float | None, shown: str) -> None:
    """Wherever the point is, and never in exponents."""
    assert numbers.figures(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(3.3, "3300"), (0.0123, "12.3"), (0.0000085432, "0.0085"), (None, "–")])
def test_milliseconds_have_no_more_digits_than_a_clock(seconds: float | None, shown: str) -> None:
    """Three figures, and no more than four digits after the point."""
    assert numbers.milliseconds(seconds) == shown


def test_intervals_and_p_values_have_one_format() -> None:
    """Both ends with their minus; a p that is too small to matter is only bounded."""
    assert numbers.interval(-0.126, 0.3, 2) == "−0.13 to 0.30"
    assert numbers.interval(-0.126, 0.3, 2, signed=True) == "−0.13 to +0.30"
    assert numbers.interval(None, 0.3, 2) == "–"
    assert [numbers.p_value(p) for p in (None, 1.0, 0.0123, 0.00012, 0.00009)] == [
        "–", "1", "0.012", "0.00012", "<0.0001",
    ]  # fmt: skip
