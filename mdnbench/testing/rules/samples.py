"""The inputs of the rules: parts of photographs that scikit-image installs, noise, and option values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage.data

from mdnbench.evaluation.rng import NumpyRng
from mdnbench.spec.names import Option, Value

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

STD = 0.1  # of the Gaussian noise in the images, on the [0, 1] scale
SIZE = (64, 80)
USUAL = 0.1  # the fraction of an option's range to use if it has no default
ODD = ((37, 53), (53, 38), (61, 61))


def clean(channels: int = 1, size: tuple[int, int] = SIZE, start: int = 96) -> Image:
    """Return a part of a photograph.

    Args:
        channels: 1 for gray, 3 for colour.
        size: The height and width in pixels.
        start: The row and column at which the part begins.

    Returns:
        float32 (H, W) or (H, W, 3) in [0, 1].
    """
    height, width = size
    part = _photograph(channels)[start : start + height, start : start + width]
    return np.ascontiguousarray(part, dtype=np.float32) / np.float32(255)


@lru_cache(maxsize=2)
def _photograph(channels: int) -> Any:
    return skimage.data.camera() if channels == 1 else skimage.data.astronaut()  # uint8 (H, W) or (H, W, 3)


def noisy(image: Image, seed: int = 0, std: float = STD) -> Image:
    """Return the image with white Gaussian noise, unclipped. Equal seeds give equal noise."""
    return image + NumpyRng(key(seed)).normal(image.shape) * std


def key(seed: int) -> bytes:
    """Return a key for a random number generator."""
    return seed.to_bytes(16, "little")


def values(options: Iterable[Option], share: float | None = None) -> dict[str, Value]:
    """Return a value for every option: its default, or one from its range.

    Args:
        options: The options.
        share: If given, an option with a minimum and a maximum gets the value at this fraction of its range, whatever
            its default.
    """
    return {option.name: _value(option, share) for option in options}


def _value(option: Option, share: float | None) -> Value:
    if (given := option.fallback()) is not None and (share is None or not _ranges(option)):
        return given
    if option.choices:
        return option.choices[0]
    if option.type is bool:
        return False
    if option.type is str:
        return "text"
    low = 0.0 if option.minimum is None else option.minimum
    high = low + 10 if option.maximum is None else option.maximum
    between = low + (high - low) * (USUAL if share is None else share)
    return round(between) if option.type is int else between


def _ranges(option: Option) -> bool:
    """Return whether the option takes all numbers between a minimum and a maximum."""
    return not option.choices and option.minimum is not None and option.maximum is not None


def variants(options: tuple[Option, ...]) -> Iterator[dict[str, Value]]:
    """Yield the usual values, then every choice and both ends of every range, changing one option at a time."""
    usual = values(options)
    yield usual
    for option in options:
        for other in _extremes(option):
            if other != usual[option.name]:
                yield {**usual, option.name: other}


def _extremes(option: Option) -> Iterator[Value]:
    if option.choices:
        yield from option.choices
    elif option.type is bool:
        yield from (False, True)
    else:
        ends = (end for end in (option.minimum, option.maximum) if end is not None)
        yield from (option.type(end) for end in ends)
