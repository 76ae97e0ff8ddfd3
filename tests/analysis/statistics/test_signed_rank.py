"""Wilcoxon's signed-rank test gives what SciPy gives, also for equal and for missing differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mdnbench.analysis.statistics import signed_rank

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("many", [2, 3, 5, 12, 13, 14, 30, 50])
def test_it_is_scipys_exact_test(many: int) -> None:
    """Up to fifty differences without equal ones, p is that of all choices of signs."""
    for shift in (0.0, 0.3, -2.0):
        differences = RNG.normal(shift, 1, many)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert signed_rank.p_value(differences) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("digits", [1, 8])
def test_it_is_scipys_approximation_for_many(digits: int) -> None:
    """Beyond fifty, p comes from the normal distribution, with its variance corrected for equal differences."""
    for many in (51, 60, 400):
        differences = np.round(RNG.normal(0.1, 1, many), digits)
        kept = differences[differences != 0]
        expected = stats.wilcoxon(kept, method="asymptotic", correction=False).pvalue
        assert signed_rank.p_value(differences) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("many", [4, 8, 12])
def test_equal_differences_are_exact_too(many: int) -> None:
    """With equal differences, p is the share of all choices of signs whose rank sum is as far from the middle."""
    differences = RNG.integers(1, 4, many) * RNG.choice([-1.0, 1.0], many) / 10
    ranks = stats.rankdata(np.abs(differences))
    sums = np.array([np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=many)])
    found = ranks[differences > 0].sum()
    expected = min(1.0, 2 * min((sums <= found).mean(), (sums >= found).mean()))
    assert signed_rank.p_value(differences) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("zeros", [1, 9, 60])
def test_zeros_do_not_make_the_rest_more_certain(zeros: int) -> None:
    """However many images show no difference, the others have the exact p of what they are."""
    noise = np.full(zeros, 1e-12)  # what arithmetic leaves of zero
    for rest in (np.arange(1, 6) / 10, np.array([-0.2, 0.5, -0.1, 0.9, 0.7, 0.4, 0.6])):
        assert signed_rank.p_value(np.concatenate([noise, rest])) == signed_rank.p_value(rest)
    tied = np.array([0.2, 0.2, 0.2, 0.4, 0.4])
    assert signed_rank.p_value(np.concatenate([noise, tied])) == 2 * 2.0**-5
    assert signed_rank.p_value(np.concatenate([noise, np.array([0.3])])) == 1.0


def test_too_few_and_no_differences() -> None:
    """One difference says nothing; twelve zeros are no difference at all."""
    assert signed_rank.p_value(np.array([1.0])) is None
    assert signed_rank.p_value(np.array([])) is None
    assert signed_rank.p_value(np.zeros(12)) == 1.0
