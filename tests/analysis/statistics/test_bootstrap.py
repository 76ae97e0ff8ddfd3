"""Intervals of means by the bootstrap: those of scipy, over whole images, and how often they hold the true mean."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mdnbench.analysis.statistics import bootstrap

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("images", [12, 68])
def test_intervals_are_those_of_scipy(images: int) -> None:
    """With several and uneven numbers of seeds per image, the ends agree with scipy's clustered bootstrap."""
    counts = RNG.integers(1, 4, (3, images)).astype(float)
    sums = (RNG.gamma(2, 1, (3, images)) + 25) * counts
    lows, highs = bootstrap.intervals(sums, counts)
    for row in range(3):
        theirs = stats.bootstrap(
            (sums[row], counts[row]), lambda s, c, axis: s.sum(axis) / c.sum(axis), paired=True, vectorized=True,
            rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
        width = theirs.high - theirs.low
        assert abs(lows[row] - theirs.low) < 0.05 * width
        assert abs(highs[row] - theirs.high) < 0.05 * width


def test_whole_images_are_drawn_with_all_their_seeds() -> None:
    """Of three images with two, one and two seeds, the 27 ways to draw three come as often as they should."""
    values = np.array([[30.0, 31.0], [20.0, np.nan], [25.0, 26.5]])
    ways = [np.nanmean(values[list(way)]) for way in itertools.product(range(3), repeat=3)]
    finite = np.isfinite(values)
    draws = bootstrap._draws(np.where(finite, values, 0).sum(axis=1)[None], finite.sum(axis=1)[None].astype(float))[
        :, 0
    ]
    for way in set(np.round(ways, 9)):
        assert np.isclose(draws, way).mean() == pytest.approx(np.isclose(ways, way).mean(), abs=0.015)
    assert np.isclose(draws[:, None], np.array(ways), atol=1e-9).any(axis=1).all()


def test_intervals_cover_as_often_as_they_say() -> None:
    """Over many data sets of 30 images with 3 dependent seeds each, they hold the truth 90 to 97 times of 100.

    Seeds taken for independent witnesses would make them much too narrow.
    """
    truths = 600
    images = RNG.normal(30, 2, (truths, 30, 1)) + RNG.normal(0, 0.3, (truths, 30, 3))
    lows, highs = bootstrap.intervals(images.sum(axis=2), np.full((truths, 30), 3.0))
    assert 0.90 < ((lows < 30) & (highs > 30)).mean() < 0.97


def test_intervals_of_few_images_cover_what_is_said_of_them() -> None:
    """Of normal values, about as many in a hundred hold the truth as the sentence below a table says."""
    rng = np.random.default_rng(8)
    for images, share in bootstrap.COVERAGE.items():
        values = rng.normal(0, 1, (1500, images))
        lows, highs = bootstrap.intervals(values, np.ones_like(values))
        assert 100 * ((lows <= 0) & (highs >= 0)).mean() == pytest.approx(share, abs=3)


def test_intervals_of_too_little_or_nothing_are_plain() -> None:
    """No interval over one image; none with width where all are equal; images without any score count for nothing."""
    lows, highs = bootstrap.intervals(np.array([[5.0], [5.0]]), np.ones((2, 1)))
    assert np.isnan(lows).all()
    assert np.isnan(highs).all()
    lows, highs = bootstrap.intervals(np.full((1, 6), 2.0), np.ones((1, 6)))
    assert (lows[0], highs[0]) == (2.0, 2.0)
    some = RNG.normal(30, 1, 10)
    with_gaps = np.concatenate([some, np.zeros(4)])
    gap = bootstrap.intervals(with_gaps[None], (with_gaps > 0)[None].astype(float))
    assert gap[0][0] < some.mean() < gap[1][0]
