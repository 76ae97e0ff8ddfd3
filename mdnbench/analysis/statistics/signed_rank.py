"""Wilcoxon's signed-rank test for paired differences.

SciPy has this test too, and the tests compare both. But importing `scipy.stats` takes as long as writing a report.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from mdnbench.analysis.statistics.bootstrap import Array

EXACT_UP_TO = 50  # differences; the normal approximation is close for more
EQUAL = 9  # decimals; smaller differences come from floating-point arithmetic


def p_value(differences: Array) -> float | None:
    """Return the two-sided p-value of differences that are symmetric about zero if nothing differs.

    Differences of zero are dropped, as Wilcoxon did. Equal ones get the mean of their ranks. For up to 50 remaining
    differences p is exact, with or without equal ones; for more it comes from the normal approximation.

    Args:
        differences: The differences, (images,).

    Returns:
        The p-value; 1 if all differences are zero, and None if there are fewer than two differences.
    """
    if len(differences) < 2:
        return None
    rounded = np.round(differences, EQUAL)
    kept = rounded[rounded != 0]
    if not len(kept):
        return 1.0
    _, place, equal = np.unique(np.abs(kept), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(equal) - equal + 1)[place]  # twice the ranks, so that means of ranks are whole numbers
    positive = int(doubled[kept > 0].sum())
    if len(kept) <= EXACT_UP_TO:
        return _exact(positive, tuple(sorted(map(int, doubled))))
    return _approximate(positive / 2, len(kept), equal)


def _exact(positive: int, doubled: tuple[int, ...]) -> float:
    """Return the probability of a sum of ranks that is at least as far from the middle, over all choices of signs."""
    ways = _ways(doubled)
    tail = float(min(ways[: positive + 1].sum(), ways[positive:].sum()))
    return min(1.0, tail * 2.0 ** (1 - len(doubled)))


@lru_cache
def _ways(ranks: tuple[int, ...]) -> Array:
    """Return in how many ways these ranks, some positive and some not, give each sum of positive ranks."""
    ways = np.zeros(sum(ranks) + 1)
    ways[0] = 1
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[:-rank]
    return ways


def _approximate(positive: float, many: int, equal: Array) -> float:
    """Return the p-value from the normal distribution, whose variance equal differences reduce."""
    mean = many * (many + 1) / 4
    variance = (many * (many + 1) * (2 * many + 1) - float((equal**3 - equal).sum()) / 2) / 24
    return 2 * float(ndtr(-abs(positive - mean) / math.sqrt(variance)))
