"""LPIPS, the learned perceptual distance, version 0.1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench import MetricSetting, MetricSpec, Unavailable
from mdnbench.errors import DataMissing, MdnbenchError
from mdnbench.registry.vision import import_torchvision
from mdnbench.spec.specs import Image, Score
from mdnbench.util.quiet import without_warnings
from mdnbench_metrics import backbone

if TYPE_CHECKING:
    import torch

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
    import torch

    model = _model(net).to(device)

    def features(image: Image) -> list[torch.Tensor]:
        return _features(model, image, device, stretched)

    remembered = _Remembered(features)

    def score(denoised: Image, clean: Image) -> float:
        if np.array_equal(denoised, clean):
            return 0.0  # the features of one image, computed twice, can differ in their last bits
        with torch.no_grad(), torch.backends.cudnn.flags(**EXACT):
            pairs = zip(model.lins, features(denoised), remembered(clean), strict=True)
            return sum(float(linear((ours - theirs) ** 2).mean()) for linear, ours, theirs in pairs)

    return score


class _Remembered:
    """A cache of the features of recent clean images, because many outputs are compared with one clean image."""

    def __init__(self, compute: Callable[[Image], list[torch.Tensor]]) -> None:
        self._compute = compute
        self._kept: OrderedDict[str, list[torch.Tensor]] = OrderedDict()

    def __call__(self, image: Image) -> list[torch.Tensor]:
        from mdnbench.util.digests import of_pixels

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
    import lpips

    from mdnbench.evaluation.adapters import to_tensor

    pixels = to_tensor(image).to(device).expand(1, 3, -1, -1)  # (1, 3, H, W)
    pixels = pixels * 2 - 1 if stretched else pixels
    return [lpips.normalize_tensor(layer) for layer in model.net(model.scaling_layer(pixels))]


def _model(net: str) -> Any:
    """Return the LPIPS network with its backbone's layers, in evaluation mode."""
    import torch

    tensors = backbone.layers(net)
    with without_warnings(), torch.random.fork_rng(devices=[]):  # warnings about deprecated names in torchvision
        import_torchvision()
        import lpips

        # pnet_rand skips the package's own download; the random layers are replaced in the next lines.
        model = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    names = {name: "features." + name.partition(".")[2] for name in model.net.state_dict()}
    model.net.load_state_dict({name: tensors[source] for name, source in names.items()})
    return model.eval().requires_grad_(False)


def _prepare(download: bool, net: str = "alex") -> str | None:
    try:
        backbone.find(net, download)
    except MdnbenchError as error:
        return str(error)
    return None


def _prepare_squeeze(download: bool) -> str | None:
    return _prepare(download, "squeeze")


def _build(device: str, net: str = "alex", *, stretched: bool = True) -> Score:
    try:
        return lpips_score(net, device, stretched=stretched)
    except DataMissing as error:
        raise Unavailable(str(error)) from None


def _build_squeeze(device: str) -> Score:
    return _build(device, "squeeze")


def _build_unstretched(device: str) -> Score:
    return _build(device, stretched=False)


SPEC = MetricSpec(
    name="lpips",
    revision="1",
    summary="Learned perceptual distance, v0.1, AlexNet",
    direction="lower",
    build=_build,
    digits=3,
    tolerance=0.005,
    min_size=31,  # for smaller images, the last layer of AlexNet that LPIPS reads is empty
    packages=("lpips", "torch"),
    prepare=_prepare,
    settings=(
        MetricSetting("squeeze", "over SqueezeNet instead of AlexNet", _build_squeeze, _prepare_squeeze),
        MetricSetting("unstretched", "images fed in [0, 1], not brought to [-1, 1]", _build_unstretched),
    ),
    citation="Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features. CVPR 2018",
    symmetric=True,
)
