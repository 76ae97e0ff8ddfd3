"""The logarithm for speckle: its inverse is without bias, clipped or not, and the noise has one strength."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdnbench_noises
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.wrappers.stabilisation.logarithm import Logarithm

NOISES = {spec.name: spec for spec in mdnbench_noises.mdnbench_noises()}
KEY = b"mdnbench logarithm"
DRAWS = 200_000
INTENSITIES = np.array([0.0, 0.004, 0.02, 0.1, 0.3, 0.6, 0.9, 1.0])


def observed(sigma: float) -> Any:
    """Observations of each intensity, by the noise plugin itself: (intensities, DRAWS)."""
    flat = np.repeat(INTENSITIES.astype(np.float32)[:, None], DRAWS, axis=1)
    return NOISES["speckle"].apply(flat, NumpyRng(KEY), sigma=sigma)


def bias(transform: Logarithm, observations: Any) -> Any:
    """The error of the inverse after a perfect denoiser, in standard errors of the mean observation or 1e-4."""
    found = transform.inverse(transform.forward(observations).mean(axis=1, dtype=float))
    tolerance = 1e-4 + 5 * transform.spread * INTENSITIES / np.sqrt(DRAWS)
    return np.abs(found - INTENSITIES) / tolerance


@pytest.mark.parametrize("sigma", [5.0, 25.0, 50.0, 100.0])
def test_the_inverse_is_unbiased(sigma: float) -> None:
    """By Monte Carlo, the inverse of the mean is the intensity, of black and white too."""
    assert np.all(bias(Logarithm(sigma / 255), observed(sigma)) <= 1)


@pytest.mark.parametrize("sigma", [25.0, 50.0])
def test_the_inverse_is_unbiased_after_clipping_and_rounding(sigma: float) -> None:
    """As a file holds them, observations lose what is above white; the inverse for clipped ones knows that."""
    stored = np.round(observed(sigma).clip(0, 1) * 255) / 255
    assert np.all(bias(Logarithm(sigma / 255, clipped=True), stored)[2:] <= 1)
    unaware = Logarithm(sigma / 255).inverse(Logarithm(sigma / 255).forward(stored).mean(axis=1, dtype=float))
    assert unaware[-1] < 0.97  # white would become gray


@pytest.mark.parametrize("sigma", [25.0, 50.0, 100.0])
def test_the_noise_becomes_of_unit_strength(sigma: float) -> None:
    """From 0.1 on, the transformed noise has standard deviation one, within 6 %; without the transform it has not."""
    observations = observed(sigma)[INTENSITIES >= 0.1]
    limit = 0.06 if sigma < 100 else 0.17  # strong speckle is not Gaussian any more
    assert Logarithm(sigma / 255).forward(observations).std(axis=1) == pytest.approx(np.ones(5), abs=limit)
    assert np.ptp(observations.std(axis=1)) > 0.8 * sigma / 255


def test_weak_speckle_is_not_drowned_by_rounding() -> None:
    """At sigma 2, rounding to 8 bits is at no intensity stronger than the noise becomes."""
    transform, levels = Logarithm(2 / 255), np.linspace(0, 1, 256)
    between = levels[:, None] + np.linspace(-0.5, 0.5, 101) / 255
    assert transform.forward(between).std(axis=1).max() <= 1.1


@settings(derandomize=True, max_examples=10, deadline=None)
@given(sigma=st.floats(1e-3, 255), clipped=st.booleans())
def test_the_inverse_rises_and_is_never_negative(sigma: float, clipped: bool) -> None:
    """More in, more out, over all that a denoiser may give, finite and at least 0."""
    transform = Logarithm(sigma / 255, clipped)
    intensities = transform.inverse(np.linspace(-1, float(transform.forward(1.5)), 2000))
    assert np.isfinite(intensities).all()
    assert intensities.min() == 0
    assert np.diff(intensities).min() >= 0
    assert intensities.max() <= 1 or not clipped
