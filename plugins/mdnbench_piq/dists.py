"""DISTS: structure and texture similarity in the layers of VGG-16.

Two pinned files are needed: torchvision's VGG-16, and the weights of the layers as the authors of DISTS published them.
piq would download its own without a check. Here, its network is filled from these files.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch

from mdnbench import DataFile, Unavailable, data
from mdnbench.errors import DataMissing
from mdnbench.spec.specs import Image, Score
from mdnbench_piq import measures, package, specs

TAKEN = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
CHANNELS = [3, 64, 128, 256, 512, 512]  # of the image itself, and of the layers in TAKEN


def build(device: str) -> Score:
    """Return DISTS as a function of the denoised and the clean image. Gray is repeated to RGB.

    Raises:
        Unavailable: piq is not installed, or a file of weights is missing.
    """
    try:
        network = _network(package.load()).to(device)
    except DataMissing as error:
        raise Unavailable(str(error)) from None

    def scored(denoised: Image, clean: Image) -> float:
        pair = [measures.tensor(image, device, colours=True).float() for image in (denoised, clean)]
        with torch.inference_mode():
            return float(network(*pair))

    return scored


def _network(piq: Any) -> torch.nn.Module:
    """Return piq's network for DISTS, made without piq's downloads."""
    from piq.perceptual import VGG16_LAYERS, ContentLoss

    class Filled(piq.DISTS):  # type: ignore[misc]
        def __init__(self, features: Any, weights: list[Any]) -> None:
            taken = [VGG16_LAYERS[name] for name in TAKEN]
            ContentLoss.__init__(
                self, features, taken, weights, replace_pooling=True, allow_layers_weights_mismatch=True
            )

    network: torch.nn.Module = Filled(_features(), _weights())
    return network.eval()


def _features() -> torch.nn.Module:
    """Return the convolutions of VGG-16. The classifier, nine tenths of the file, is not read."""
    vgg: Any = importlib.import_module("torchvision.models.vgg")  # has no types

    with torch.random.fork_rng(devices=[]):
        features: torch.nn.Module = vgg.make_layers(vgg.cfgs["D"])
    state = torch.load(_path(specs.VGG), map_location="cpu", weights_only=True, mmap=True)
    features.load_state_dict({
        key.removeprefix("features."): tensor for key, tensor in state.items() if key.startswith("features.")
    })  # fmt: skip
    return features


def _weights() -> list[torch.Tensor]:
    """Return the weights of each layer's means (texture), then of its correlations (structure). They sum to one."""
    found = torch.load(_path(specs.LAYERS), map_location="cpu", weights_only=True)
    alpha, beta = (found[name].detach().float() for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return [*torch.split(alpha / total, CHANNELS, dim=1), *torch.split(beta / total, CHANNELS, dim=1)]


def _path(file: DataFile) -> Any:
    return data.locate(specs.FOLDER, file, download=False)
