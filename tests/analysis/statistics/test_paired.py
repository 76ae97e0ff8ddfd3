"""Paired tests: Holm's correction, and the difference that a data set could show."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mdnbench.analysis.statistics import paired

RNG = np.random.default_rng(5)


def test_holm_is_the_textbook_procedure() -> None:
    """The smallest p times n, the next times n - 1, never falling, never above one; gaps stay gaps."""
    assert paired.holm([0.01, 0.04, 0.03, None]) == [0.03, pytest.approx(0.06), pytest.approx(0.06), None]
    assert paired.holm([0.9, 0.8]) == [1.0, 1.0]
    worked = {0.005: 5 * 0.005, 0.011: 4 * 0.011, 0.02: 3 * 0.02, 0.025: 3 * 0.02, 0.13: 0.13}  # 2 * 0.025 < 3 * 0.02
    for order in ((0.005, 0.011, 0.02, 0.025, 0.13), (0.13, 0.02, 0.005, 0.025, 0.011)):
        assert paired.holm(order) == pytest.approx([worked[p] for p in order])


def test_the_detectable_difference_is_found_four_times_out_of_five() -> None:
    """Shifting many data sets by it, the t-test finds it in about 80 of 100; it grows with the number of pairs."""
    spread = np.array([-1.0, 1.0] * 6)
    shift = paired.detectable(spread, 1)
    assert shift is not None
    samples = RNG.normal(shift, spread.std(ddof=1), (2000, 12))
    found = stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05
    assert 0.75 < found.mean() < 0.85
    corrected = paired.detectable(spread, 10)
    assert corrected is not None
    assert corrected > shift
    assert paired.detectable(spread[:1], 1) is None
