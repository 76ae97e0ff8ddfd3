"""The networks of LPIPS: AlexNet and SqueezeNet as far as LPIPS reads them, with its learned heads.

They are written here because the lpips package imports torchvision for them, which takes seconds in each process that
scores. The numbers are those of the package, and the tensors have torchvision's names, such as `features.0.weight`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

MEAN, SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of each channel, for images in [-1, 1]
# The layers whose outputs are compared, by their indices in torchvision's networks.
TAKEN = {"alex": (1, 4, 7, 9, 11), "squeeze": (1, 4, 7, 9, 10, 11, 12)}


class LpipsNetwork(nn.Module):
    """The layers of a network, and for each layer that LPIPS compares the weights of its channels.

    Args:
        features: The layers.
        taken: The indices of the layers that are compared.
        heads: The weights of their squared differences, each (1, C, 1, 1).
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, features: nn.Sequential, taken: Sequence[int], heads: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.features, self.taken = features, taken
        self.heads = nn.ParameterList(heads)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Return the activations of images (B, 3, H, W), each (B, C, H', W') with unit length along the channels."""
        values, found = (pixels - self.mean) / self.spread, []
        for index, layer in enumerate(self.features):
            values = layer(values)
            if index in self.taken:
                found.append(_normalised(values))
        return found

    def distance(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> float:
        """Return the distance between two images, given their activations."""
        triples = zip(self.heads, first, second, strict=True)
        return sum(float(F.conv2d((one - other) ** 2, head).mean()) for head, one, other in triples)


def _normalised(values: torch.Tensor) -> torch.Tensor:
    return values / (torch.sqrt(torch.sum(values**2, dim=1, keepdim=True)) + 1e-10)


def make(net: str, layers: dict[str, torch.Tensor], heads: dict[str, torch.Tensor]) -> LpipsNetwork:
    """Return a network that is filled with these tensors.

    Args:
        net: The network, `alex` or `squeeze`.
        layers: Its tensors by torchvision's names. The classifier may be among them; it is not used.
        heads: The tensors of the heads, in the order of the layers.
    """
    with torch.device("meta"):  # no time and no random numbers for values that are replaced
        features = _alexnet() if net == "alex" else _squeezenet()
    state = {name: layers[f"features.{name}"] for name in features.state_dict()}
    features.load_state_dict(state, assign=True)
    return LpipsNetwork(features, TAKEN[net], list(heads.values())).requires_grad_(False)


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def _squeezenet() -> nn.Sequential:
    """Return the layers of SqueezeNet 1.1."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True),
        _Fire(64, 16, 64), _Fire(128, 16, 64), nn.MaxPool2d(3, stride=2, ceil_mode=True),
        _Fire(128, 32, 128), _Fire(256, 32, 128), nn.MaxPool2d(3, stride=2, ceil_mode=True),
        _Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256),
    )  # fmt: skip


class _Fire(nn.Module):
    """SqueezeNet's module: few channels, then convolutions 1×1 and 3×3 whose outputs are joined."""

    def __init__(self, inputs: int, few: int, each: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, few, 1)
        self.expand1x1 = nn.Conv2d(few, each, 1)
        self.expand3x3 = nn.Conv2d(few, each, 3, padding=1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        few = F.relu(self.squeeze(values))
        return torch.cat([F.relu(self.expand1x1(few)), F.relu(self.expand3x3(few))], 1)
