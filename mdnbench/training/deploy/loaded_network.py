"""The network of a learned method with its weights, which every variant starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mdnbench.errors import UsageError
from mdnbench.wrappers import inference

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

EXAMPLE_STD = 25 / 255


def filled(spec: DenoiserSpec, weights: Weights) -> torch.nn.Module:
    """Return the network of a weights file with its weights, in evaluation mode on the CPU.

    Raises:
        UsageError: The method is not learned.
    """
    if spec.trainable is None:
        raise UsageError(f"{spec.name} is not a learned method; it has no network.")
    make = spec.trainable.inference or spec.trainable.network
    return inference.fill(make(blind=weights.card.blind, **weights.card.options), weights).eval()


def example(weights: Weights, height: int, width: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return inputs for a network: noisy (B, C, H, W), and std (1, 1, 1, 1) or None if it is blind."""
    generator = torch.Generator().manual_seed(height * width)
    noisy = torch.rand(batch, inference.channels_of(weights), height, width, generator=generator)
    return noisy, None if weights.card.blind else torch.full((1, 1, 1, 1), EXAMPLE_STD)
