"""The U-Net denoiser with trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mdnbench import Unavailable
from mdnbench.wrappers import inference
from mdnbench_masked_unet.network import make

if TYPE_CHECKING:
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise
    from mdnbench.weights import Weights


def build(masked: bool, options: Mapping[str, Value], device: str, weights: Weights | None) -> Denoise:
    """Return a denoiser with the given weights. Their card has the options of the network.

    Raises:
        Unavailable: There are no weights.
    """
    if weights is None:
        raise Unavailable(f"{'masked-unet' if masked else 'unet'} has no weights for this noise; train it first.")
    network = make(masked, blind=weights.card.blind, **weights.card.options)
    ready = inference.placed(inference.fill(network, weights), device)
    return inference.denoiser(inference.in_torch(ready), weights)
