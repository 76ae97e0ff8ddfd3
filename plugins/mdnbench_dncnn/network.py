"""The network of DnCNN (Zhang et al., 2017): plain convolutions that predict the noise."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

FEATURES = 64


class DnCNN(nn.Module):
    """A stack of 3×3 convolutions with ReLU between them, whose output is subtracted from the noisy image.

    Args:
        depth: The number of convolutions.
        channels: The number of image channels.
        norm: Whether batch normalisation follows all convolutions except the first and the last, as in training.
            Without it, the convolutions have a bias, and normalisation is folded into them, as for denoising.
        features: The number of channels between convolutions.
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
        nn.init.zeros_(getattr(self.layers, f"conv{depth - 1}").weight)  # at first, the output equals the input

    def forward(self, noisy: torch.Tensor, std: torch.Tensor | None = None) -> torch.Tensor:
        """Return the clean estimate of noisy (B, C, H, W). The noise level `std` is ignored."""
        residual: torch.Tensor = self.layers(noisy)
        return noisy - residual


def with_norm(*, blind: bool, depth: int, colour: bool) -> DnCNN:
    """Return the network that is trained, with batch norm. It is the same with and without the noise level."""
    return DnCNN(depth, 3 if colour else 1, norm=True)


def without_norm(*, blind: bool, depth: int, colour: bool) -> DnCNN:
    """Return the network that denoises, whose convolutions contain the batch norm."""
    return DnCNN(depth, 3 if colour else 1, norm=False)


def fold(weight: torch.Tensor, norm: dict[str, torch.Tensor], eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernel and bias of a convolution with a batch normalisation (in evaluation mode) folded into it.

    Args:
        weight: The kernel of the convolution, (outputs, inputs, 3, 3).
        norm: The tensors weight, bias, running_mean and running_var of the normalisation, and conv_bias if the
            convolution has a bias, each (outputs,).
        eps: The eps of the normalisation.
    """
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
    mean = norm["running_mean"] - norm.get("conv_bias", torch.zeros_like(scale))
    return weight * scale[:, None, None, None], norm["bias"] - mean * scale


def folded(network: DnCNN) -> dict[str, torch.Tensor]:
    """Return the state of the same network without normalisation."""
    state: dict[str, torch.Tensor] = {}
    for index in range(network.depth):
        layer = getattr(network.layers, f"conv{index}")
        weight, bias = layer.weight.detach(), layer.bias
        if (norm := getattr(network.layers, f"norm{index}", None)) is not None:
            weight, bias = fold(weight, dict(norm.state_dict()), norm.eps)
        state[f"layers.conv{index}.weight"], state[f"layers.conv{index}.bias"] = weight, bias.detach()
    return state
