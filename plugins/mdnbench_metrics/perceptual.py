"""LPIPS, the learned perceptual distance, version 0.1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdnbench import Unavailable
from mdnbench.errors import DataMissing
from mdnbench.evaluation.adapters import to_tensor
from mdnbench.spec.specs import Image, Score
from mdnbench.util.digests import of_pixels
from mdnbench_metrics import backbone, lpips_network
from mdnbench_metrics.lpips_network import LpipsNetwork

REMEMBERED_BYTES = 128 * 2**20
# On a GPU, do not choose algorithms by their speed, and use no 10-bit mantissas. This has no effect on a CPU.
EXACT: dict[str, Any] = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}


def lpips_score(net: str, device: str = "cpu", *, stretched: bool = True) -> Score:
    """Return the LPIPS distance as a function of the denoised and the clean image.

    Images in [0, 1] are scaled to [-1, 1], and gray is repeated to RGB.

    Args:
        net: The network, `alex` or `squeeze`.
        device: The device.
        stretched: If False, images stay in [0, 1]. This is a common mistake, and worth measuring.
    """
    network = lpips_network.make(net, layers(net), heads(net)).to(device)

    def features(image: Image) -> list[torch.Tensor]:
        return _features(network, image, device, stretched)

    remembered = _FeatureCache(features)

    def score(denoised: Image, clean: Image) -> float:
        if np.array_equal(denoised, clean):
            return 0.0  # the features of one image, computed twice, can differ in their last bits
        with torch.no_grad(), torch.backends.cudnn.flags(**EXACT):
            return network.distance(features(denoised), remembered(clean))

    return score


class _FeatureCache:
    """A cache of the features of recent clean images, because many outputs are compared with one clean image."""

    def __init__(self, compute: Callable[[Image], list[torch.Tensor]]) -> None:
        self._compute = compute
        self._kept: OrderedDict[str, list[torch.Tensor]] = OrderedDict()

    def __call__(self, image: Image) -> list[torch.Tensor]:
        key = of_pixels(image)
        if key not in self._kept:
            self._kept[key] = self._compute(image)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self._bytes() > REMEMBERED_BYTES:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _bytes(self) -> int:
        return sum(layer.nbytes for layers in self._kept.values() for layer in layers)


def _features(network: LpipsNetwork, image: Image, device: str, stretched: bool) -> list[torch.Tensor]:
    """Return the activations that LPIPS compares, each (1, C, H, W)."""
    pixels = to_tensor(image).to(device).expand(1, 3, -1, -1)  # (1, 3, H, W)
    found: list[torch.Tensor] = network(pixels * 2 - 1 if stretched else pixels)
    return found


def layers(net: str) -> dict[str, torch.Tensor]:
    """Return the network's tensors from a verified file, by torchvision's names, such as `features.0.weight`."""
    return _tensors(backbone.find(net, download=False))


def heads(net: str) -> dict[str, torch.Tensor]:
    """Return the weights of each layer's channels from a verified file of the lpips package."""
    return _tensors(backbone.find_heads(net))


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def build(device: str) -> Score:
    """Return LPIPS over AlexNet as a function of the denoised and the clean image.

    Raises:
        Unavailable: The network's file or that of the heads is missing.
    """
    return _build("alex", device)


def build_squeeze(device: str) -> Score:
    """Return LPIPS over SqueezeNet."""
    return _build("squeeze", device)


def build_unstretched(device: str) -> Score:
    """Return LPIPS of images that stay in [0, 1]."""
    return _build("alex", device, stretched=False)


def _build(net: str, device: str, *, stretched: bool = True) -> Score:
    try:
        return lpips_score(net, device, stretched=stretched)
    except DataMissing as error:
        raise Unavailable(str(error)) from None
