"""DnCNN (Zhang et al., 2017): plain convolutions that predict the noise."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

FEATURES = 64


class DnCNN(nn.Module):
    """`depth` 3×3 convolutions with ReLU between them; what they predict is taken from the noisy image.

    With `norm`, batch normalisation follows all convolutions but the first and the last, as in training; without, the
    normalisation has been folded into convolutions with a bias, as for denoising.
    """

    def __init__(self, depth: int, channels: int, norm: bool, features: int = FEATURES) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index in range(depth):
            inputs = channels if index == 0 else features
            outputs = channels if index == depth - 1 else features
            inner = norm and 0 < index < depth - 1
            layers[f"conv{index}"] = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not inner)
            if inner:
                layers[f"norm{index}"] = nn.BatchNorm2d(outputs)
            if index < depth - 1:
                layers[f"relu{index}"] = nn.ReLU(inplace=True)
        self.channels, self.depth = channels, depth
        self.layers = nn.Sequential(layers)
        for module in self.layers:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(getattr(self.layers, f"conv{depth - 1}").weight)  # it starts by changing nothing

    def forward(self, noisy: torch.Tensor, std: torch.Tensor | None = None) -> torch.Tensor:
        """Noisy (B, C, H, W) to its clean estimate; the network finds out the noise level by itself."""
        residual: torch.Tensor = self.layers(noisy)
        return noisy - residual


def fold(weight: torch.Tensor, norm: dict[str, torch.Tensor], eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The kernel and bias that equal a convolution followed by a batch normalisation in evaluation mode.

    `weight` is (outputs, inputs, 3, 3); `norm` holds weight, bias, running_mean and running_var and, where the
    convolution has one, conv_bias, each (outputs,).
    """
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
    mean = norm["running_mean"] - norm.get("conv_bias", torch.zeros_like(scale))
    return weight * scale[:, None, None, None], norm["bias"] - mean * scale


def folded(network: DnCNN) -> dict[str, torch.Tensor]:
    """The state of the same network without normalisation."""
    state: dict[str, torch.Tensor] = {}
    for index in range(network.depth):
        layer = getattr(network.layers, f"conv{index}")
        weight, bias = layer.weight.detach(), layer.bias
        if (norm := getattr(network.layers, f"norm{index}", None)) is not None:
            weight, bias = fold(weight, dict(norm.state_dict()), norm.eps)
        state[f"layers.conv{index}.weight"], state[f"layers.conv{index}.bias"] = weight, bias.detach()
    return state
