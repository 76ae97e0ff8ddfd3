"""Compare two methods on the same noisy images: differences, intervals, signed-rank test, detectable differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from mdnbench.analysis.statistics import bootstrap, signed_rank

if TYPE_CHECKING:
    from mdnbench.analysis.statistics.bootstrap import Array

ALPHA = 0.05
POWER = 0.8  # a detectable difference is found in four of five data sets like this one


@dataclass(frozen=True, slots=True)
class Pair:
    """Two methods compared on the same noisy images.

    Fields are None if there are too few images.

    Attributes:
        first: The first method.
        second: The second method.
        difference: The mean of the first method's score minus the second's, over the cells that both have.
        low: The lower end of its 95 % interval.
        high: The upper end of the interval.
        p: The p-value of Wilcoxon's signed-rank test over images, with the scores averaged over seeds.
        p_holm: The p-value after Holm's correction for all pairs of the family.
        wins: The number of cells in which the first method is better.
        ties: The number of cells without a visible difference.
        losses: The number of cells in which the first method is worse.
        images: The number of images that both methods have a finite score on.
        cells: The number of cells that both methods have a finite score in.
        detectable: The mean difference that a data set like this would show as significant four times out of five.
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
        """Whether the difference is significant after Holm's correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def record(self) -> str:
        """Wins, ties and losses, such as '9/1/2'."""
        return f"{self.wins}/{self.ties}/{self.losses}"


def compare(names: Sequence[tuple[str, str]], differences: Iterable[Array], sign: int, tie: float) -> list[Pair]:
    """Compare all pairs of one family.

    Args:
        names: The names of the two methods of each pair.
        differences: For each pair the scores of the first method minus those of the second, (images, seeds). They are
            NaN if a score is missing.
        sign: 1 if higher scores are better, -1 if lower ones are.
        tie: The largest difference that counts as a tie.

    Returns:
        The pairs, with p-values that are corrected together.
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
    values = [signed_rank.p_value(each) for each in by_image]
    return [
        replace(pair, low=_number(low), high=_number(high), p=p, p_holm=corrected)
        for pair, low, high, p, corrected in zip(pairs, lows, highs, values, holm(values), strict=True)
    ]


def _pair(first: str, second: str, difference: Array, by_image: Array, sign: int, tie: float, family: int) -> Pair:
    """Return a pair without its interval and its test."""
    known = difference[~np.isnan(difference)]  # an infinite difference is a win or a loss, but enters no mean
    finite = np.isfinite(difference)
    mean = float(difference[finite].mean()) if finite.any() else math.nan
    wins, losses = int((sign * known > tie).sum()), int((sign * known < -tie).sum())
    return Pair(
        first, second, mean, None, None, None, None, wins, len(known) - wins - losses, losses,
        len(by_image), int(finite.sum()), detectable(by_image, family),
    )  # fmt: skip


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values after Holm's step-down correction.

    The smallest of n p-values is multiplied by n, the next by n - 1 and so on. No corrected value is smaller than one
    before it, or larger than 1. None stays None.
    """
    known = sorted((value, index) for index, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for step, (value, index) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - step)))
        corrected[index] = highest
    return corrected


def detectable(differences: Array, family: int) -> float | None:
    """Return the mean difference that would be significant four times out of five.

    It is computed for the t-test, which detects slightly smaller differences than the signed-rank test, and for
    differences that vary over images as these do.

    Args:
        differences: The differences of one pair, (images,).
        family: The number of pairs to correct for.

    Returns:
        The difference, or None if there are fewer than two images.
    """
    many = len(differences)
    if many < 2:
        return None
    return _detectable_errors(many, family) * (float(differences.std(ddof=1)) / math.sqrt(many))


@lru_cache
def _detectable_errors(many: int, family: int) -> float:
    """Return how many standard errors from zero a mean of so many differences must be."""
    return float(stdtrit(many - 1, 1 - ALPHA / (2 * family)) + stdtrit(many - 1, POWER))


def smallest_p(images: int, family: int) -> float:
    """Return the smallest corrected p-value that so many images can give: that of differences with the same sign."""
    return min(1.0, family * 2.0 ** (1 - images))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
