"""Two methods on the same noisy images: differences, their interval, the signed-rank test, and what could be seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mdnbench.statistics import bootstrap

if TYPE_CHECKING:
    from mdnbench.statistics.bootstrap import Array

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
    import numpy as np

    pairs, sums, counts = [], [], []
    for (first, second), difference in zip(names, differences, strict=True):
        finite = np.isfinite(difference)
        sums.append(np.where(finite, difference, 0).sum(axis=1))
        counts.append(finite.sum(axis=1).astype(np.float64))
        pairs.append(_pair(first, second, difference, sign, tie, len(names)))
    if not pairs:
        return []
    lows, highs = bootstrap.intervals(np.array(sums), np.array(counts))
    corrected = holm([pair.p for pair in pairs])
    return [
        replace(pair, low=_number(low), high=_number(high), p_holm=p)
        for pair, low, high, p in zip(pairs, lows, highs, corrected, strict=True)
    ]


def _pair(first: str, second: str, difference: Array, sign: int, tie: float, family: int) -> Pair:
    import numpy as np

    known = difference[~np.isnan(difference)]  # an infinite one is a win or a loss, and in no mean
    finite = np.isfinite(difference)
    rows = finite.any(axis=1)
    by_image = np.where(finite, difference, 0).sum(axis=1)[rows] / finite.sum(axis=1)[rows]
    mean = float(difference[finite].mean()) if finite.any() else math.nan
    wins, losses = int((sign * known > tie).sum()), int((sign * known < -tie).sum())
    return Pair(
        first, second, mean, None, None, signed_rank_p(by_image), None, wins, len(known) - wins - losses, losses,
        int(rows.sum()), int(finite.sum()), detectable(by_image, family),
    )  # fmt: skip


def signed_rank_p(differences: Array) -> float | None:
    """The two-sided p-value of Wilcoxon's signed-rank test; None for fewer than two differences."""
    import numpy as np
    from scipy.stats import wilcoxon

    rounded = np.round(differences, EQUAL)
    if len(rounded) < 2:
        return None
    return 1.0 if not rounded.any() else float(wilcoxon(rounded).pvalue)


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
    from scipy.stats import t

    many = len(differences)
    if many < 2:
        return None
    error = float(differences.std(ddof=1)) / math.sqrt(many)
    return float((t.ppf(1 - ALPHA / (2 * family), many - 1) + t.ppf(POWER, many - 1)) * error)


def smallest_p(images: int, family: int) -> float:
    """The smallest p-value that so many images can give after correction: all of them on one side."""
    return min(1.0, family * 2.0 ** (1 - images))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
