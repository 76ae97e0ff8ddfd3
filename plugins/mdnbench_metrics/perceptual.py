"""LPIPS, the learned perceptual distance, version 0.1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mdnbench import Unavailable
from mdnbench.errors import DataMissing
from mdnbench.evaluation.adapters import to_tensor
from mdnbench.registry.torchvision_fix import import_torchvision
from mdnbench.spec.specs import Image, Score
from mdnbench.util.digests import of_pixels
from mdnbench.util.silenced import without_warnings
from mdnbench_metrics import backbone

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
    model = _model(net).to(device)

    def features(image: Image) -> list[torch.Tensor]:
        return _features(model, image, device, stretched)

    remembered = _FeatureCache(features)

    def score(denoised: Image, clean: Image) -> float:
        if np.array_equal(denoised, clean):
            return 0.0  # the features of one image, computed twice, can differ in their last bits
        with torch.no_grad(), torch.backends.cudnn.flags(**EXACT):
            pairs = zip(model.lins, features(denoised), remembered(clean), strict=True)
            return sum(float(linear((ours - theirs) ** 2).mean()) for linear, ours, theirs in pairs)

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


def _features(model: Any, image: Image, device: str, stretched: bool) -> list[torch.Tensor]:
    """Return each layer's activations (1, C, H, W), normalised to unit length along the channels as LPIPS does."""
    from lpips import normalize_tensor

    pixels = to_tensor(image).to(device).expand(1, 3, -1, -1)  # (1, 3, H, W)
    pixels = pixels * 2 - 1 if stretched else pixels
    return [normalize_tensor(layer) for layer in model.net(model.scaling_layer(pixels))]


def _model(net: str) -> Any:
    """Return the LPIPS network with its backbone's layers, in evaluation mode."""
    tensors = layers(net)
    with without_warnings(), torch.random.fork_rng(devices=[]):  # warnings about deprecated names in torchvision
        import_torchvision()
        import lpips  # it imports torchvision

        # pnet_rand skips the package's own download; the random layers are replaced in the next lines.
        model = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    names = {name: "features." + name.partition(".")[2] for name in model.net.state_dict()}
    model.net.load_state_dict({name: tensors[source] for name, source in names.items()})
    return model.eval().requires_grad_(False)


def layers(net: str) -> dict[str, torch.Tensor]:
    """Return the network's tensors from a verified file, by torchvision's names, such as `features.0.weight`."""
    tensors: dict[str, torch.Tensor] = torch.load(
        backbone.find(net, download=False), map_location="cpu", weights_only=True
    )
    return tensors


def build(device: str) -> Score:
    """Return LPIPS over AlexNet as a function of the denoised and the clean image.

    Raises:
        Unavailable: The network's file is missing.
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
