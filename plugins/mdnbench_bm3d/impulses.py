"""Impulses: finding the samples that were replaced by black or white, and filling them in."""

from __future__ import annotations

from typing import Any

RADIUS = 3  # of the window that is looked at around a sample: 7x7
CHANCE = 1e-5  # of taking true impulses for a black or white place
BARREN = 1e-3  # where a window had a smaller chance to hold no good sample, the place itself is black or white
FARTHEST = 15  # radius of the largest window that is searched for good samples


def detect(plane: Any, density: float) -> Any:
    """Where impulses lie, as bool (H, W): samples that are exactly 0 or 1.

    Places where more samples are 0, or 1, than `density` explains are black, or white, by themselves and left alone.
    """
    return _replaced(plane, 0.0, density) | _replaced(plane, 1.0, density)


def _replaced(plane: Any, value: float, density: float) -> Any:
    import numpy as np
    from scipy.ndimage import uniform_filter
    from scipy.stats import binom

    found = plane == value
    size = 2 * RADIUS + 1
    counts = np.rint(uniform_filter(found.astype(np.float64), size, mode="reflect") * size**2)
    return found & (counts <= binom.isf(CHANCE, size**2, density / 2))


def repair(plane: Any, hit: Any, density: float) -> Any:
    """A copy of (H, W) in which each sample of `hit` is the median of its nearest windows' good samples.

    The window grows from 3x3 until it holds a good sample. Where it holds none although it should, the place is black
    or white by itself, and the median of all its samples is taken.
    """
    import numpy as np

    repaired = plane.copy()
    left = np.argwhere(hit)
    for radius in range(1, FARTHEST + 1):
        if not len(left):
            break
        windows = _windows(plane, left, radius)
        good = ~_windows(hit, left, radius)
        some = good.any(axis=1)
        repaired[tuple(left[some].T)] = np.nanmedian(np.where(good, windows, np.nan)[some], axis=1) if some.any() else 0
        left, windows = left[~some], windows[~some]
        if radius == FARTHEST or density ** ((2 * radius + 1) ** 2) < BARREN:
            repaired[tuple(left.T)] = np.median(windows, axis=1) if len(left) else 0
            break
    return repaired


def _windows(plane: Any, places: Any, radius: int) -> Any:
    """The samples around each place, reflected at the borders, as (places, window)."""
    import numpy as np

    size = 2 * radius + 1
    padded = np.pad(plane, radius, "symmetric")
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return views[tuple(places.T)].reshape(len(places), size**2)
