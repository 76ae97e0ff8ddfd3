"""Find impulses, which are samples that were replaced by black or white, and fill them in."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

RADIUS = 3  # of the window around a sample that is examined: 7x7
CHANCE = 1e-5  # the probability that true impulses count as a black or white area
BARREN = 1e-3  # if a window without good samples was less probable than this, the area itself is black or white
FARTHEST = 15  # the radius of the largest window that is searched for good samples


def fill_in(noisy: Any, density: float) -> tuple[Any, Any]:
    """Return the positions of impulses, and the image without them, computed channel by channel.

    Args:
        noisy: The samples, (H, W) or (H, W, 3) in [0, 1].
        density: The fraction of samples that are impulses.

    """
    planes = [noisy] if noisy.ndim == 2 else list(np.moveaxis(noisy, -1, 0))
    hits = [detect(plane, density) for plane in planes]
    filled = [repair(plane, hit, density) for plane, hit in zip(planes, hits, strict=True)]
    if noisy.ndim == 2:
        return hits[0], filled[0]
    return np.stack(hits, axis=-1), np.stack(filled, axis=-1)


def detect(plane: Any, density: float) -> Any:
    """Return the positions of impulses, as bool (H, W); an impulse is a sample that is exactly 0 or 1.

    An area with more samples of 0 (or 1) than `density` explains is black (or white) in the image itself. Its samples
    are not counted as impulses.

    Args:
        plane: The samples, (H, W) in [0, 1].
        density: The fraction of samples that are impulses.

    """
    return _replaced(plane, 0.0, density) | _replaced(plane, 1.0, density)


def _replaced(plane: Any, value: float, density: float) -> Any:
    found = plane == value
    size = 2 * RADIUS + 1
    counts = np.rint(scipy.ndimage.uniform_filter(found.astype(np.float64), size, mode="reflect") * size**2)
    return found & (counts <= _most(size**2, density / 2))


def _most(samples: int, chance: float) -> int:
    """Return how many of the samples can be impulses of one colour, except with the probability CHANCE."""
    exceeding = scipy.special.bdtrc(np.arange(samples + 1), samples, chance)
    return int(np.argmax(exceeding <= CHANCE))


def repair(plane: Any, hit: Any, density: float) -> Any:
    """Return a copy of the plane in which impulses are replaced by the median of the nearest good samples.

    The window around an impulse grows from 3x3 until it has a good sample. If a window has none although one is likely,
    the area is black or white in the image itself, and the median of all samples in the window is used.

    Args:
        plane: The samples, (H, W) in [0, 1].
        hit: The positions of impulses, as bool (H, W).
        density: The fraction of samples that are impulses.

    """
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
    """Return the samples around each position, reflected at the borders, as (positions, window)."""
    size = 2 * radius + 1
    padded = np.pad(plane, radius, "symmetric")
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return views[tuple(places.T)].reshape(len(places), size**2)
