"""What plugins are tried on: crops of photographs that scikit-image installs with itself, noise, and option values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mdnbench.evaluation.rng import NumpyRng
from mdnbench.spec.names import Option, Value

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

STD = 0.1  # of the Gaussian noise that methods are tried on
SIZE = (64, 80)
USUAL = 0.1  # of the way through an option's range, where it has no default
ODD = ((37, 53), (53, 38), (61, 61))


def clean(channels: int = 1, size: tuple[int, int] = SIZE, start: int = 96) -> Image:
    """A photograph's part as float32 (H, W) or (H, W, 3) in [0, 1]; another `start` gives another part."""
    import numpy as np

    height, width = size
    part = _photograph(channels)[start : start + height, start : start + width]
    return np.ascontiguousarray(part, dtype=np.float32) / np.float32(255)


@lru_cache(maxsize=2)
def _photograph(channels: int) -> Any:
    import skimage.data

    return skimage.data.camera() if channels == 1 else skimage.data.astronaut()  # uint8 (H, W) or (H, W, 3)


def noisy(image: Image, seed: int = 0, std: float = STD) -> Image:
    """The image with white Gaussian noise, unclipped: equal seeds, equal noise."""
    return image + NumpyRng(key(seed)).normal(image.shape) * std


def key(seed: int) -> bytes:
    """A key for a source of random numbers."""
    return seed.to_bytes(16, "little")


def values(options: Iterable[Option], share: float | None = None) -> dict[str, Value]:
    """A value for every option: its default, or one from its range.

    With a `share`, the one that lies so far through its range, whatever its default, where it has both ends.
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
    """Whether it takes all numbers between two ends."""
    return not option.choices and option.minimum is not None and option.maximum is not None


def variants(options: tuple[Option, ...]) -> Iterator[dict[str, Value]]:
    """The usual values, and then every choice and both ends of every range, one option at a time."""
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
