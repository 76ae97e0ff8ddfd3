"""The power spectrum of correlated noise."""

from __future__ import annotations

from typing import Any

import numpy as np


def box_spectrum(shape: tuple[int, int], std: float, width: int) -> Any:
    """Return the power spectrum (H, W) of noise that was filtered by a box.

    Its mean over frequencies is std^2 times the number of pixels.

    Args:
        shape: The shape of the image.
        std: The noise's standard deviation after filtering.
        width: The width of the box in pixels.

    """

    def along(length: int) -> Any:
        waves = np.exp(-2j * np.pi * np.outer(np.arange(length), np.arange(width)) / length)
        return np.abs(waves.sum(axis=1)) ** 2

    spectrum = np.outer(along(shape[0]), along(shape[1]))
    return spectrum / spectrum.mean() * std**2 * shape[0] * shape[1]
