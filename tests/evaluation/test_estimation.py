"""The estimate of the noise level from the noisy image."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from skimage.restoration import estimate_sigma

from mdnbench.evaluation.estimation import estimate_std


def noisy(image: np.ndarray, std: float) -> np.ndarray:
    """A photograph with white Gaussian noise."""
    field = np.random.default_rng(1).normal(0, std, image.shape)
    return (image / 255 + field).astype(np.float32)


@pytest.mark.parametrize("std", [0.06, 0.1, 0.2])
def test_finds_the_level_of_white_noise(std: float) -> None:
    """On photographs, gray and colour, the estimate is within 10 % of the truth."""
    for image in (skimage.data.camera(), skimage.data.astronaut()):
        assert estimate_std(noisy(image, std)) == pytest.approx(std, rel=0.1)


def test_equals_scikit_image() -> None:
    """Where scikit-image has an answer, ours is the same."""
    gray, colour = noisy(skimage.data.camera(), 0.1), noisy(skimage.data.astronaut(), 0.1)
    assert estimate_std(gray) == pytest.approx(estimate_sigma(gray), rel=1e-6)
    theirs = estimate_sigma(colour, channel_axis=-1, average_sigmas=True)
    assert estimate_std(colour) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (17, 33), (4, 4, 3)])
def test_nothing_that_varies_is_no_noise(shape: tuple[int, ...]) -> None:
    """A constant image, however small, has noise level 0, and no warning is given."""
    assert estimate_std(np.full(shape, 0.3, np.float32)) == 0


def test_small_images_have_a_level() -> None:
    """An image smaller than the wavelet's reach still gives a finite number."""
    assert 0 < estimate_std(noisy(skimage.data.camera()[:5, :3], 0.1)) < 1
