"""Random numbers for the noises of an evaluation, from NumPy's Philox generator."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image


# The digest of the numbers that NumPy 2.0 to 2.4 draw.
USUAL = "e88d2c28d1657ec3a17941b4ecc84f21874541641e39708b0ac6de00c337662f"


class NumpyRng:
    """Random numbers for evaluation: Philox on the CPU, float32, the same on every machine with the same NumPy."""

    def __init__(self, key: bytes) -> None:
        """Create the generator; equal keys give equal streams.

        Args:
            key: At least 16 bytes (of a digest).

        """
        self.key = key
        self._generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))

    def normal(self, shape: tuple[int, ...]) -> Image:
        """Return standard normal numbers, float32."""
        return self._generator.standard_normal(shape, dtype=np.float32)

    def uniform(self, shape: tuple[int, ...]) -> Image:
        """Return numbers uniform in [0, 1), float32."""
        return self._generator.random(shape, dtype=np.float32)

    def poisson(self, rate: Image) -> Image:
        """Return Poisson counts for each entry of `rate`, as float32."""
        return self._generator.poisson(rate).astype(np.float32)


@cache
def stream() -> tuple[str, ...]:
    """Return nothing if NumPy draws the same numbers as NumPy 2.0 to 2.4, otherwise a digest of the numbers it draws.

    NumPy may change them from one version to the next (NEP 19).
    """
    rng = NumpyRng(bytes(range(16)))
    rates = np.linspace(0.5, 60, 64, dtype=np.float32)
    drawn = [each.tobytes() for each in (rng.normal((64,)), rng.uniform((64,)), rng.poisson(rates), rng.normal((64,)))]
    found = hashlib.sha256(b"".join(drawn)).hexdigest()
    return () if found == USUAL else (found,)
