"""The U-Net denoiser with trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.wrappers import inference
from mdnbench_masked_unet.network import make

if TYPE_CHECKING:
    from mdnbench.spec.specs import Denoise
    from mdnbench.weights import Weights


def build(masked: bool, device: str, weights: Weights) -> Denoise:
    """Return a denoiser with the given weights. Their card has the options of the network."""
    network = make(masked, blind=weights.card.blind, **weights.card.options)
    ready = inference.placed(inference.fill(network, weights), device)
    return inference.denoiser(inference.in_torch(ready), weights)
