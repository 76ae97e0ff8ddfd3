"""Make a method from a PyTorch module and a file with its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

import torch

from mdnbench.errors import Unavailable
from mdnbench.spec.names import Value
from mdnbench.wrappers import files, level_input, weight_loading
from mdnbench.wrappers import method_fields as abouts
from mdnbench.wrappers.files import WeightsFile
from mdnbench.wrappers.level_input import NoiseLevel
from mdnbench.wrappers.method_fields import MethodFields
from mdnbench.wrappers.tiling import Tiling
from mdnbench.wrappers.weight_loading import StateSelection

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise, DenoiserSpec

ModuleCall = Callable[["torch.nn.Module", "torch.Tensor", float], "torch.Tensor"]


def wrap_torch(
    name: str,
    network: Callable[..., torch.nn.Module],
    weights: WeightsFile | None = None,
    *,
    state: str = "",
    prefix: str | None = None,
    eps: float | None = None,
    noise_level: NoiseLevel = "none",
    level_scale: float = 1.0,
    residual: bool = False,
    channels: tuple[int, ...] = (1,),
    by_channel: bool = False,
    multiple: int = 1,
    tile: int = 0,
    overlap: int = 64,
    **about: Unpack[MethodFields],
) -> DenoiserSpec:
    """Make a method from a PyTorch network.

    The module is called with the noisy image, float32 (1, C, H, W), nominally in [0, 1], and with the noise level if it
    takes one. `mdnbench weights inspect FILE` shows the states and prefixes of a weights file.

    Args:
        name: The name of the method.
        network: `network(**options)` creates the module.
        weights: The file with the module's state.
        state: The name of one state, if several in the file fit, for example those of a training with averaged weights.
        prefix: The prefix to remove from the keys, if it cannot be determined.
        eps: The eps of batch normalisation, if the code that trained the network used another one than `network`.
        noise_level: The form of the noise level: 'none', 'plane' (one more channel of the input), or 'scalar' (a second
            argument, float32 (1, 1, 1, 1)).
        level_scale: The level is this factor times the noise's standard deviation on the [0, 1] scale.
        residual: Whether the network predicts the noise, which is then subtracted from its input.
        channels: The numbers of channels that the network accepts.
        by_channel: Whether a network for one channel processes each channel separately.
        multiple: Height and width are padded by reflection to multiples of this number, and cropped back.
        tile: Images with a longer side are cut into tiles of this side in pixels; 0 means never.
        overlap: The number of pixels that adjacent tiles share.
        **about: Optional fields of DenoiserSpec: revision, summary, options, packages, licence, citation, published_as,
            files, stabilise.

    """
    fitting = Tiling(multiple, tile, overlap, by_channel)
    choice = StateSelection(state, prefix, eps)

    def build(options: Mapping[str, Value], device: str) -> Denoise:
        module = load(name, lambda: network(**options), weights, choice).to(device)
        return denoiser(module, CALLS[noise_level], noise_level, level_scale, residual, fitting)

    return abouts.spec(
        name, build, wants=level_input.wants(noise_level), channels=(1, 3) if by_channel else channels,
        packages=("torch",),
        about=about, content=(_digest(weights), noise_level, level_scale, residual, repr(fitting), *choice.parts),
    )  # fmt: skip


def load(
    name: str,
    make: Callable[[], torch.nn.Module],
    weights: WeightsFile | None,
    choice: StateSelection = weight_loading.ANY,
) -> torch.nn.Module:
    """Return the module with its weights, ready to denoise.

    Raises:
        Unavailable: The file or a package is missing.
        WeightsError: The file cannot be used, or several states of it fit.

    """
    try:
        module = make()
    except ImportError as error:
        raise Unavailable(f"{name} needs a package that is not installed: {error}.") from error
    if weights is not None:
        weight_loading.fill(module, files.locate(weights, name), choice)
    return module.eval().requires_grad_(False)


def denoiser(
    module: torch.nn.Module, call: ModuleCall, noise_level: NoiseLevel, scale: float, residual: bool, fitting: Tiling
) -> Denoise:
    """Return a denoiser made from a prepared module.

    Args:
        module: The module.
        call: A function that calls the module with an image and a level.
        noise_level: The form of the noise level.
        scale: The factor from the [0, 1] scale to the network's unit.
        residual: Whether the module predicts the noise.
        fitting: How images are fitted to the module.

    """

    @torch.inference_mode()
    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        amount = level_input.of(noisy, noise, noise_level, scale)
        estimate = fitting(noisy, lambda image: call(module, image, amount))
        return noisy - estimate if residual else estimate

    return denoise


def _plain(module: torch.nn.Module, image: torch.Tensor, level: float) -> Any:
    return module(image)


def _plane(module: torch.nn.Module, image: torch.Tensor, amount: float) -> Any:
    return module(level_input.with_plane(image, amount))


def _scalar(module: torch.nn.Module, image: torch.Tensor, amount: float) -> Any:
    return module(image, image.new_full((1, 1, 1, 1), amount))


CALLS: dict[NoiseLevel, ModuleCall] = {"none": _plain, "plane": _plane, "scalar": _scalar}


def _digest(weights: WeightsFile | None) -> str:
    return "" if weights is None else files.digest_of(weights)
