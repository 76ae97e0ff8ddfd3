"""The arithmetic of the noises, written once for NumPy arrays and torch tensors.

Every function takes a clean float32 image (…, C, H, W) in [0, 1], a source of random numbers, and its parameters as
numbers or as float32 arrays that broadcast against the image; it returns a new float32 image of the same shape,
unclipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench.spec.specs import Rng

FULL = 255.0  # people write sigma on the 0-255 scale


def gaussian(clean: Any, rng: Rng, *, sigma: Any) -> Any:
    """Clean plus white Gaussian noise of standard deviation sigma/255."""
    return clean + rng.normal(_shape(clean)) * (_number(sigma) / FULL)


def poisson(clean: Any, rng: Rng, *, peak: Any) -> Any:
    """Photon counts over `peak`, the expected count at intensity 1."""
    peak = _number(peak)
    return rng.poisson(clean * peak) / peak


def salt_pepper(clean: Any, rng: Rng, *, density: Any) -> Any:
    """Clean with a fraction `density` of all samples replaced, half of them by 0 and half by 1."""
    density = _number(density)
    draw = rng.uniform(_shape(clean))
    hit, salt = draw < density, draw < density / 2
    return clean * ~hit + salt


def mixed(clean: Any, rng: Rng, *, sigma: Any, peak: Any, density: Any) -> Any:
    """Shot noise, then read-out noise, then impulses: the order in which a camera adds them."""
    shot = poisson(clean, rng, peak=peak)
    read = gaussian(shot, rng, sigma=sigma)
    return salt_pepper(read, rng, density=density)


def speckle(clean: Any, rng: Rng, *, sigma: Any) -> Any:
    """Clean plus Gaussian noise whose standard deviation is sigma/255 times the intensity."""
    return clean + clean * rng.normal(_shape(clean)) * (_number(sigma) / FULL)


def correlated(clean: Any, rng: Rng, *, sigma: Any, width: float) -> Any:
    """Clean plus Gaussian noise filtered by a box of `width` pixels, of standard deviation sigma/255.

    The white noise is drawn `width` - 1 pixels larger than the image, so that the borders are like the middle.
    `width` is one number, not an array.
    """
    width = int(width)
    *lead, height, breadth = _shape(clean)
    white = rng.normal((*lead, height + width - 1, breadth + width - 1))
    rows = sum(white[..., i : i + height, :] for i in range(width))
    field = sum(rows[..., j : j + breadth] for j in range(width))
    # the sum of width * width independent normals has standard deviation `width`
    return clean + field * (_number(sigma) / (FULL * width))


def additive_std(*, sigma: float, **_: float) -> float:
    """The standard deviation on the [0, 1] scale of noise that does not depend on the image."""
    return sigma / FULL


def unknown_std(**_: float) -> None:
    """None: the standard deviation depends on the image, and parameters alone do not tell it."""


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(array.shape)


def _number(value: Any) -> Any:
    """A number as Python's float, so that it never widens float32; an array as it is."""
    return float(value) if isinstance(value, int | float) else value
