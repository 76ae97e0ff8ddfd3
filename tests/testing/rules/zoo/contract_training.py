"""Wrong: its loss is a picture, where training needs one number."""

from __future__ import annotations

from pathlib import Path

import torch

from mdnbench import DenoiserSpec, Trainable, hookimpl
from mdnbench.weights import load_state

HERE = Path(__file__).parent


class Network(torch.nn.Module):
    """One convolution."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, noisy, std):
        """Noisy (B, 1, H, W) less what the convolution finds."""
        return noisy - self.layer(noisy)


def loss(network, clean, noisy, std, rng, moment, recipe):
    """One error for each pixel: nobody took the mean."""
    return (network(noisy, std) - clean).abs()


def build(options, device, weights):
    """The network with its weights."""
    network = Network()
    network.load_state_dict(load_state(weights))
    return lambda noisy, noise: network(noisy, None)


@hookimpl
def mdnbench_denoisers():
    """One learned method."""
    trainable = Trainable(lambda blind: Network(), loss, HERE / "recipes", HERE / "weights")
    return [DenoiserSpec("contract-training", "1", "wrong", build, licence="MIT", citation="none", trainable=trainable)]
