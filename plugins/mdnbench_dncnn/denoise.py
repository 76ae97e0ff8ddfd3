"""The DnCNN denoiser with trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mdnbench import Unavailable
from mdnbench.wrappers import inference
from mdnbench_dncnn.network import DnCNN

if TYPE_CHECKING:
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise
    from mdnbench.weights import Weights


def build(options: Mapping[str, Value], device: str, weights: Weights | None) -> Denoise:
    """Return a denoiser with the given weights. Their card has the network's depth and number of channels.

    Raises:
        Unavailable: There are no weights.
    """
    if weights is None:
        raise Unavailable("dncnn has no weights for this noise; train it first.")
    trained = weights.card.options
    network = DnCNN(int(trained["depth"]), 3 if trained["colour"] else 1, norm=False)
    ready = inference.placed(inference.fill(network, weights), device)
    return inference.denoiser(inference.in_torch(ready), weights)
