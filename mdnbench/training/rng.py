"""Random numbers for the noises of a training, from torch's generator on a device."""

from __future__ import annotations

import torch


class TorchRng:
    """Random numbers for training, drawn on the generator's own device, float32."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return standard normal numbers."""
        return torch.randn(shape, generator=self._generator, device=self._generator.device)

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return numbers uniform in [0, 1)."""
        return torch.rand(shape, generator=self._generator, device=self._generator.device)

    def poisson(self, rate: torch.Tensor) -> torch.Tensor:
        """Return Poisson counts for each entry of `rate`."""
        return torch.poisson(rate, generator=self._generator)
