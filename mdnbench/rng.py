"""The two sources of random numbers that a noise is written against: NumPy's Philox, and torch's on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from mdnbench.specs import Image


class NumpyRng:
    """Random numbers for evaluation: Philox on the CPU, float32, the same on every machine with the same NumPy."""

    def __init__(self, key: bytes) -> None:
        """`key` is at least 16 bytes (of a digest); equal keys give equal streams."""
        self._generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))

    def normal(self, shape: tuple[int, ...]) -> Image:
        """Standard normal numbers, float32."""
        return self._generator.standard_normal(shape, dtype=np.float32)

    def uniform(self, shape: tuple[int, ...]) -> Image:
        """Numbers uniform in [0, 1), float32."""
        return self._generator.random(shape, dtype=np.float32)

    def poisson(self, rate: Image) -> Image:
        """Poisson counts for each entry of `rate`, as float32."""
        return self._generator.poisson(rate).astype(np.float32)


class TorchRng:
    """Random numbers for training, drawn on the generator's own device, float32."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal numbers."""
        import torch

        return torch.randn(shape, generator=self._generator, device=self._generator.device)

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Numbers uniform in [0, 1)."""
        import torch

        return torch.rand(shape, generator=self._generator, device=self._generator.device)

    def poisson(self, rate: torch.Tensor) -> torch.Tensor:
        """Poisson counts for each entry of `rate`."""
        import torch

        return torch.poisson(rate, generator=self._generator)
