"""The Anscombe transform: its inverse is without bias, and the noise becomes of unit strength."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdnbench_noises
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.wrappers.stabilisation.anscombe import TABLE_TOP, Anscombe

NOISES = {spec.name: spec for spec in mdnbench_noises.mdnbench_noises()}
KEY = b"mdnbench transforms"


def transformed_means(peak: float, sigma: float, intensities: Any, draws: int) -> Any:
    """What a perfect denoiser sees: the mean of the transformed observations of each intensity."""
    rng = NumpyRng(KEY)
    flat = np.repeat(intensities.astype(np.float32)[:, None], draws, axis=1)
    shot = NOISES["poisson"].apply(flat, rng, peak=peak)
    observed = NOISES["gaussian"].apply(shot, rng, sigma=sigma)
    return Anscombe(peak, sigma / 255).forward(observed).mean(axis=1, dtype=float)


@pytest.mark.parametrize("peak", [1.0, 4.0, 15.0, 60.0])
@pytest.mark.parametrize("sigma", [0.0, 5.0, 25.0])
def test_the_inverse_is_unbiased(peak: float, sigma: float) -> None:
    """By Monte Carlo, the inverse of the mean is the intensity, within 0.01 photons and five standard errors."""
    draws, intensities = 300_000, np.array([0.02, 0.1, 0.3, 0.6, 1.0])
    found = Anscombe(peak, sigma / 255).inverse(transformed_means(peak, sigma, intensities, draws))
    deviation = np.sqrt(intensities * peak + (sigma / 255 * peak) ** 2 + 3 / 8)  # photons, of one observation
    assert np.all(np.abs(found - intensities) * peak <= 0.01 + 5 * deviation / np.sqrt(draws))


def test_the_algebraic_inverse_would_be_biased() -> None:
    """At few photons undoing the formula alone is wrong by more than ten times that tolerance."""
    (mean,) = transformed_means(4.0, 0.0, np.array([0.5]), 300_000)
    assert 2.0 - (mean**2 / 4 - 3 / 8) > 0.1


@pytest.mark.parametrize("sigma", [0.0, 25.0])
def test_the_noise_becomes_of_unit_strength(sigma: float) -> None:
    """From four photons on, the transformed noise has standard deviation one, within 5 %."""
    peak, rng = 60.0, NumpyRng(KEY)
    flat = np.repeat(np.array([[0.07], [0.3], [1.0]], np.float32), 100_000, axis=1)
    image = NOISES["gaussian"].apply(NOISES["poisson"].apply(flat, rng, peak=peak), rng, sigma=sigma)
    deviations = Anscombe(peak, sigma / 255).forward(image).std(axis=1)
    assert deviations == pytest.approx([1, 1, 1], abs=0.05)


@settings(derandomize=True, max_examples=10, deadline=None)
@given(peak=st.floats(0.01, 1e6), sigma=st.floats(0, 255))
def test_the_inverse_rises_and_is_never_negative(peak: float, sigma: float) -> None:
    """More in, more out, over all that a denoiser may give, finite and at least 0."""
    transform = Anscombe(peak, sigma / 255)
    top = float(transform.forward(np.float64(1.5)))
    intensities = transform.inverse(np.linspace(-1, top, 2000))
    assert np.isfinite(intensities).all()
    assert intensities.min() == 0
    assert np.diff(intensities).min() >= -0.01 / peak  # where the table meets the closed form


@pytest.mark.parametrize("sigma", [0.0, 10.0])
def test_table_and_closed_form_meet(sigma: float) -> None:
    """Where the table ends, the closed form goes on within 0.01 photons."""
    transform = Anscombe(1.0, sigma / 255)
    ends = transform.forward(np.array([TABLE_TOP - 1, TABLE_TOP, TABLE_TOP + 1, TABLE_TOP + 2]))
    assert np.diff(transform.inverse(ends)) == pytest.approx([1, 1, 1], abs=0.01)


@pytest.mark.parametrize("peak", [4.0, 60.0, 2000.0])
@pytest.mark.parametrize("sigma", [0.0, 25.0])
def test_the_inverse_is_unbiased_after_clipping(peak: float, sigma: float) -> None:
    """What clipping takes from black and white comes back, with few photons and with many."""
    draws, intensities, rng = 100_000, np.array([0.0, 0.05, 0.5, 0.9, 1.0]), NumpyRng(KEY)
    flat = np.repeat(intensities.astype(np.float32)[:, None], draws, axis=1)
    image = NOISES["gaussian"].apply(NOISES["poisson"].apply(flat, rng, peak=peak), rng, sigma=sigma).clip(0, 1)
    transform = Anscombe(peak, sigma / 255, clipped=True)
    means = transform.forward(image).mean(axis=1, dtype=float)
    assert np.abs(transform.inverse(means) - intensities).max() <= 0.01
    unaware = Anscombe(peak, sigma / 255).inverse(means)
    assert unaware[-1] < 0.995
    assert np.diff(transform.inverse(np.linspace(-1, 200, 5000))).min() >= 0
