"""DISTS: structure and texture similarity in the layers of VGG-16.

Two pinned files are needed: torchvision's VGG-16, and the weights of the layers as the authors of DISTS published them.
piq would download its own without a check. Here, its network is filled from these files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mdnbench import DataFile, MetricSpec, Unavailable, data
from mdnbench.errors import DataMissing, MdnbenchError
from mdnbench.spec.specs import Image, Score
from mdnbench_piq import measures, package

if TYPE_CHECKING:
    import torch

FOLDER = "weights/dists"
AUTHORS = "https://raw.githubusercontent.com/dingkeyan93/DISTS/1267d8cb626c98706db3697422701c56a85ebf2e/"
VGG = DataFile(
    "vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    553433881,
    ("https://download.pytorch.org/models/vgg16-397923af.pth",),
)
LAYERS = DataFile(
    "weights.pt",
    "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    urls=(AUTHORS + "DISTS_pytorch/weights.pt",),
)
TAKEN = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
CHANNELS = [3, 64, 128, 256, 512, 512]  # of the image itself, and of the layers in TAKEN


def score(device: str) -> Score:
    """Return DISTS as a function of the denoised and the clean image. Gray is repeated to RGB."""
    import torch

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
    import torch

    vgg: Any = importlib.import_module("torchvision.models.vgg")  # has no types

    with torch.random.fork_rng(devices=[]):
        features: torch.nn.Module = vgg.make_layers(vgg.cfgs["D"])
    state = torch.load(_path(VGG), map_location="cpu", weights_only=True, mmap=True)
    features.load_state_dict({
        key.removeprefix("features."): tensor for key, tensor in state.items() if key.startswith("features.")
    })  # fmt: skip
    return features


def _weights() -> list[torch.Tensor]:
    """Return the weights of each layer's means (texture), then of its correlations (structure). They sum to one."""
    import torch

    found = torch.load(_path(LAYERS), map_location="cpu", weights_only=True)
    alpha, beta = (found[name].detach().float() for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return [*torch.split(alpha / total, CHANNELS, dim=1), *torch.split(beta / total, CHANNELS, dim=1)]


def _path(file: DataFile) -> Any:
    return data.locate(FOLDER, file, download=False)


def _prepare(download: bool) -> str | None:
    if reason := package.missing():
        return reason
    try:
        for file in (LAYERS, VGG):
            data.locate(FOLDER, file, download)
    except MdnbenchError as error:
        return str(error)
    return None


SPEC = MetricSpec(
    name="dists",
    revision="1",
    summary="Structure and texture similarity in the layers of VGG-16; gray is repeated to RGB",
    direction="lower",
    build=score,
    digits=4,
    tolerance=0.005,
    min_size=32,  # four poolings leave two pixels
    packages=(*package.PACKAGES, "torchvision"),
    prepare=_prepare,
    citation="Ding, Ma, Wang, Simoncelli: Unifying structure and texture similarity. IEEE TPAMI 44(5), 2022",
    symmetric=True,
    by_name=True,
)
