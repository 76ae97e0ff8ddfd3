"""The DnCNN denoiser with trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.wrappers import inference
from mdnbench_dncnn.network import DnCNN

if TYPE_CHECKING:
    from mdnbench.spec.specs import Denoise
    from mdnbench.weights import Weights


def build(device: str, weights: Weights) -> Denoise:
    """Return a denoiser with the given weights. Their card has the network's depth and number of channels."""
    options = weights.card.options
    network = DnCNN(int(options["depth"]), 3 if options["colour"] else 1, norm=False)
    ready = inference.placed(inference.fill(network, weights), device)
    return inference.denoiser(inference.in_torch(ready), weights)
