"""Paired tests: Holm's correction, the signed-rank test, and the difference that a data set could show."""

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


def test_the_signed_rank_test_is_scipys_and_bears_degenerate_data() -> None:
    """Twelve ordinary differences give scipy's exact p; all zero gives 1; ties and zeros raise no warning."""
    differences = RNG.normal(0.3, 1, 12)
    torn = np.array([0, 0, 0.5, 0.5, -0.5, 0.25, 0.25, 0.125, 0.5, 0.5, 1, 1])
    p, same, lone, ties = paired.signed_rank_ps([differences, np.zeros(12), np.array([1.0]), torn])
    assert p == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)
    assert (same, lone) == (1.0, None)
    assert ties is not None
    assert 0 < ties < 1


@pytest.mark.parametrize("zeros", [0, 1, 9, 60])
def test_zeros_do_not_make_the_rest_more_certain(zeros: int) -> None:
    """However many images show no difference, the others have the exact p of what they are, ties and all."""
    rest = [np.arange(1, 6) / 10, np.array([0.3]), np.array([-0.2, 0.5, -0.1, 0.9, 0.7, 0.4, 0.6])]
    tied = np.array([0.2, 0.2, 0.2, 0.4, 0.4])
    noise = np.full(zeros, 1e-12)  # what arithmetic leaves of zero
    given = [np.concatenate([noise, each]) for each in (*rest, tied)]
    expected = [stats.wilcoxon(each, method="exact").pvalue for each in rest]
    found = paired.signed_rank_ps(given)
    assert [found[0], found[2]] == [expected[0], expected[2]]
    assert found[1] == (1.0 if zeros else None)
    assert found[0] == found[3] == 2 * 2.0**-5


@pytest.mark.full
def test_differences_tested_together_have_the_p_of_each_alone() -> None:
    """Whatever their length, and whether others among them have ties or zeros."""
    rng = np.random.default_rng(0)
    rows = [
        np.round(rng.normal(0.2, 1, length), digits) for length in (2, 12, 60) for digits in (1, 8) for _ in range(9)
    ]
    rows[5] = np.append(rows[5][:-1], 0.0)
    alone = [float(stats.wilcoxon(each[each != 0]).pvalue) for each in rows]
    assert paired.signed_rank_ps(rows) == alone
    assert paired.signed_rank_ps([]) == []


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
