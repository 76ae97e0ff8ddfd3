"""Two methods on the same noisy images: differences, their interval, the signed-rank test, and what could be seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t, wilcoxon

from mdnbench.analysis.statistics import bootstrap

if TYPE_CHECKING:
    from mdnbench.analysis.statistics.bootstrap import Array

ALPHA = 0.05
POWER = 0.8  # "could have been seen": found in four of five data sets like this one
EQUAL = 9  # decimals beyond which a difference is arithmetic, not quality


@dataclass(frozen=True, slots=True)
class Pair:
    """Two methods compared: the mean of first less second over the cells that both have, and what to make of it.

    `p` is Wilcoxon's, over images (their seeds averaged), `p_holm` the same after Holm's correction for all pairs of
    the family. Wins, ties and losses are the first method's, over cells. `detectable` is the mean difference that a
    data set like this would show as significant four times out of five. None where there are too few images.
    """

    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    wins: int
    ties: int
    losses: int
    images: int
    cells: int
    detectable: float | None

    @property
    def significant(self) -> bool:
        """Whether the difference stands after Holm's correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def record(self) -> str:
        """Wins, ties and losses as `9/1/2`."""
        return f"{self.wins}/{self.ties}/{self.losses}"


def compare(names: Sequence[tuple[str, str]], differences: Iterable[Array], sign: int, tie: float) -> list[Pair]:
    """All pairs of one family: `differences` are (images, seeds), NaN where one of the two methods has no score.

    `sign` is 1 where higher is better and -1 where lower is; differences of up to `tie` are ties.
    """
    pairs, by_image, sums, counts = [], [], [], []
    for (first, second), difference in zip(names, differences, strict=True):
        finite = np.isfinite(difference)
        sums.append(np.where(finite, difference, 0).sum(axis=1))
        counts.append(finite.sum(axis=1).astype(np.float64))
        by_image.append(sums[-1][counts[-1] > 0] / counts[-1][counts[-1] > 0])
        pairs.append(_pair(first, second, difference, by_image[-1], sign, tie, len(names)))
    if not pairs:
        return []
    lows, highs = bootstrap.intervals(np.array(sums), np.array(counts))
    values = signed_rank_ps(by_image)
    return [
        replace(pair, low=_number(low), high=_number(high), p=p, p_holm=corrected)
        for pair, low, high, p, corrected in zip(pairs, lows, highs, values, holm(values), strict=True)
    ]


def _pair(first: str, second: str, difference: Array, by_image: Array, sign: int, tie: float, family: int) -> Pair:
    """A pair without its interval and its test."""
    known = difference[~np.isnan(difference)]  # an infinite one is a win or a loss, and in no mean
    finite = np.isfinite(difference)
    mean = float(difference[finite].mean()) if finite.any() else math.nan
    wins, losses = int((sign * known > tie).sum()), int((sign * known < -tie).sum())
    return Pair(
        first, second, mean, None, None, None, None, wins, len(known) - wins - losses, losses,
        len(by_image), int(finite.sum()), detectable(by_image, family),
    )  # fmt: skip


def signed_rank_ps(differences: Sequence[Array]) -> list[float | None]:
    """The two-sided p-values of Wilcoxon's signed-rank test, one for each array; None for fewer than two differences.

    Differences of zero are dropped, as Wilcoxon did; where all are, p is 1. Arrays that are then of one length are
    tested in one call, which is far quicker, but for those with ties: they would decide for all others how p is
    computed.
    """
    # left to scipy, a zero among more than 13 values would bring the normal approximation, which promises few others
    # a smaller p than they can have
    found: list[float | None] = [None] * len(differences)
    together: dict[int, list[int]] = {}
    rounded = [np.round(each, EQUAL) for each in differences]
    others = [each[each != 0] for each in rounded]
    for index, each in enumerate(others):
        if len(rounded[index]) < 2:
            continue
        if not len(each):
            found[index] = 1.0
        elif len(np.unique(np.abs(each))) == len(each):
            together.setdefault(len(each), []).append(index)
        else:
            found[index] = float(wilcoxon(each).pvalue)
    for indices in together.values():
        values = wilcoxon(np.array([others[index] for index in indices]), axis=1).pvalue
        for index, value in zip(indices, values, strict=True):
            found[index] = float(value)
    return found


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction: the smallest of n p-values times n, the next times n - 1, never falling."""
    known = sorted((value, index) for index, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for step, (value, index) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - step)))
        corrected[index] = highest
    return corrected


def detectable(differences: Array, family: int) -> float | None:
    """The mean difference that would be significant, after correction for `family` pairs, four times out of five.

    For differences that scatter over the images as these do, by the t-test, which sees a little more than the
    signed-rank test. None for fewer than two images.
    """
    many = len(differences)
    if many < 2:
        return None
    return _detectable_errors(many, family) * (float(differences.std(ddof=1)) / math.sqrt(many))


@lru_cache
def _detectable_errors(many: int, family: int) -> float:
    """How many standard errors a mean of so many differences must be from zero."""
    return float(t.ppf(1 - ALPHA / (2 * family), many - 1) + t.ppf(POWER, many - 1))


def smallest_p(images: int, family: int) -> float:
    """The smallest p-value that so many images can give after correction: all of them on one side."""
    return min(1.0, family * 2.0 ** (1 - images))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
