"""The formulas of the noises, written once for both NumPy arrays and torch tensors.

Every noise function takes a clean float32 image (…, C, H, W) in [0, 1], a random number generator, and its parameters.
Parameters are numbers, or float32 arrays that broadcast to the image. The result is a new float32 image of the same
shape, unclipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench.spec.specs import Rng

FULL = 255.0  # users write sigma on the 0-255 scale


def gaussian(clean: Any, rng: Rng, *, sigma: Any) -> Any:
    """Return the image with white Gaussian noise of standard deviation sigma/255."""
    return clean + rng.normal(_shape(clean)) * (_number(sigma) / FULL)


def poisson(clean: Any, rng: Rng, *, peak: Any) -> Any:
    """Return photon counts divided by `peak`, the expected count at intensity 1."""
    peak = _number(peak)
    return rng.poisson(clean * peak) / peak


def salt_pepper(clean: Any, rng: Rng, *, density: Any) -> Any:
    """Return the image with a fraction `density` of all samples replaced, half of them by 0 and half by 1."""
    density = _number(density)
    draw = rng.uniform(_shape(clean))
    hit, salt = draw < density, draw < density / 2
    return clean * ~hit + salt


def mixed(clean: Any, rng: Rng, *, sigma: Any, peak: Any, density: Any) -> Any:
    """Return the image with shot noise, then read-out noise, then impulses, in the order of a camera."""
    shot = poisson(clean, rng, peak=peak)
    read = gaussian(shot, rng, sigma=sigma)
    return salt_pepper(read, rng, density=density)


def speckle(clean: Any, rng: Rng, *, sigma: Any) -> Any:
    """Return the image with Gaussian noise whose standard deviation is sigma/255 times the intensity."""
    return clean + clean * rng.normal(_shape(clean)) * (_number(sigma) / FULL)


def correlated(clean: Any, rng: Rng, *, sigma: Any, width: float) -> Any:
    """Return the image with Gaussian noise of standard deviation sigma/255, filtered by a box of `width` pixels.

    The white noise is drawn `width` - 1 pixels larger than the image, so the noise at the borders is like that in the
    middle. `width` is a single number, not an array.
    """
    width = int(width)
    *lead, height, breadth = _shape(clean)
    white = rng.normal((*lead, height + width - 1, breadth + width - 1))
    rows = sum(white[..., i : i + height, :] for i in range(width))
    field = sum(rows[..., j : j + breadth] for j in range(width))
    # the sum of width * width independent normals has standard deviation `width`
    return clean + field * (_number(sigma) / (FULL * width))


def additive_std(*, sigma: float, **_: float) -> float:
    """Return the standard deviation, on the [0, 1] scale, of noise that does not depend on the image."""
    return sigma / FULL


def unknown_std(**_: float) -> None:
    """Return None, because the standard deviation depends on the image and not only on the parameters."""


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(array.shape)


def _number(value: Any) -> Any:
    """Return a number as Python's float, which never widens float32, or an array unchanged."""
    return float(value) if isinstance(value, int | float) else value
