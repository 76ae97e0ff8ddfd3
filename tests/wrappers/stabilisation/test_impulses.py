"""Impulses: found, filled in, and told from black and white in the picture itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import skimage.data

import mdnbench_noises
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.wrappers.stabilisation import impulses
from mdnbench.wrappers.stabilisation.impulses import detect, repair

NOISES = {spec.name: spec for spec in mdnbench_noises.mdnbench_noises()}
GRAY = skimage.data.camera()[180:276, 200:296].astype(np.float32)[None] / 255  # (1, 96, 96)
COLOUR = skimage.data.astronaut()[60:124, 180:244].astype(np.float32) / 255  # (64, 64, 3)
KEY = b"mdnbench impulses"


@pytest.mark.parametrize("density", [0.05, 0.3, 0.6])
def test_impulses_are_found(density: float) -> None:
    """On a photograph without pure black or white, exactly the impulses are found, but for one in ten thousand."""
    clean = GRAY[0] * 0.8 + 0.1
    image = NOISES["salt-pepper"].apply(clean[None], NumpyRng(KEY), density=density)[0]
    wrong = detect(image, density) != (image != clean)
    assert wrong.mean() <= 1e-4


def test_black_and_white_places_are_left_alone() -> None:
    """Where the photograph itself is black or white, its samples are not taken for impulses."""
    clean = GRAY[0].copy() * 0.8 + 0.1
    clean[20:50, 20:50], clean[60:90, 40:80] = 0, 1
    image = NOISES["salt-pepper"].apply(clean[None], NumpyRng(KEY), density=0.2)[0]
    hit = detect(image, 0.2)
    assert not hit[23:47, 23:47][image[23:47, 23:47] == 0].any()
    assert hit[23:47, 23:47][image[23:47, 23:47] == 1].all()
    repaired = repair(image, hit, 0.2)
    assert np.mean(repaired[23:47, 23:47] != 0) < 0.01
    assert np.mean(repaired[63:87, 43:77] != 1) < 0.01


def test_repair_takes_the_median_of_good_neighbours() -> None:
    """A hole is filled with the median of its 3x3 neighbourhood's good samples; all else is untouched."""
    image = np.arange(49, dtype=np.float32).reshape(7, 7) / 49
    hit = np.zeros((7, 7), bool)
    hit[3, 3] = hit[3, 4] = True
    repaired = repair(image, hit, 0.05)
    around = [image[r, c] for r in (2, 3, 4) for c in (2, 3, 4) if not hit[r, c]]
    assert repaired[3, 3] == pytest.approx(np.median(around))
    assert np.array_equal(repaired[~hit], image[~hit])


def test_repair_looks_farther_where_it_must() -> None:
    """At 90 % impulses, where most 3x3 windows hold no good sample, the picture still comes back."""
    clean = GRAY[0] * 0.8 + 0.1
    image = NOISES["salt-pepper"].apply(clean[None], NumpyRng(KEY), density=0.9)[0]
    error = np.abs(repair(image, detect(image, 0.9), 0.9) - clean)
    assert np.median(error) < 0.05


def test_channels_are_filled_in_one_by_one() -> None:
    """An impulse of one channel says nothing about the others."""
    clean = COLOUR * 0.8 + 0.1
    planes = NOISES["salt-pepper"].apply(clean.transpose(2, 0, 1), NumpyRng(KEY), density=0.1)
    hit, filled = impulses.fill_in(planes.transpose(1, 2, 0), 0.1)
    for channel, plane in enumerate(planes):
        alone = impulses.fill_in(plane, 0.1)
        assert np.array_equal(hit[..., channel], alone[0])
        assert np.array_equal(filled[..., channel], alone[1])


@pytest.mark.parametrize("density", [0.0, 0.001, 0.05, 0.3, 0.9, 1.0])
def test_the_limit_of_a_window_is_a_quantile(density: float) -> None:
    """The number of impulses that a window may have is the quantile of the binomial distribution."""
    expected: Any = scipy.stats.binom.isf(impulses.CHANCE, 49, density / 2)
    assert impulses._most(49, density / 2) == int(expected)
