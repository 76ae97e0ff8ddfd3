"""A method from a PyTorch module and a file of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mdnbench.errors import Unavailable
from mdnbench.spec.names import Value
from mdnbench.wrappers import about as abouts
from mdnbench.wrappers import files, filling, level
from mdnbench.wrappers.about import About
from mdnbench.wrappers.files import WeightsFile
from mdnbench.wrappers.filling import Choice
from mdnbench.wrappers.fitting import Fitting
from mdnbench.wrappers.level import NoiseLevel

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise, DenoiserSpec

Call = Callable[["torch.nn.Module", "torch.Tensor", float], "torch.Tensor"]


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
    **about: Unpack[About],
) -> DenoiserSpec:
    """A method from a network: `network(**options)` makes the module, `weights` is the file of its state.

    Of a file with several states that fit, as those of a training that keeps an average, `state` names one; `prefix` is
    what comes off the keys, where it is not plain. `eps` is that of the network's batch normalisation, where the code
    that trained it has another one than `network`. `mdnbench weights inspect FILE` shows what there is to choose.

    The module is called with the noisy image, float32 (1, C, H, W), nominally in [0, 1]. Its `noise_level` is 'none', a
    'plane' (one more channel of the input), or a 'scalar' (a second argument, float32 (1, 1, 1, 1)): the noise's
    standard deviation on the [0, 1] scale, times `level_scale`. A `residual` network predicts the noise, which is then
    taken from its input. `multiple`, `tile`, `overlap` and `by_channel` are those of `Fitting`.
    """
    fitting = Fitting(multiple, tile, overlap, by_channel)
    choice = Choice(state, prefix, eps)

    def build(options: Mapping[str, Value], device: str) -> Denoise:
        module = load(name, lambda: network(**options), weights, choice).to(device)
        return denoiser(module, CALLS[noise_level], noise_level, level_scale, residual, fitting)

    return abouts.spec(
        name, build, wants=level.wants(noise_level), channels=(1, 3) if by_channel else channels, packages=("torch",),
        about=about, content=(_digest(weights), noise_level, level_scale, residual, repr(fitting), *choice.parts),
    )  # fmt: skip


def load(
    name: str, make: Callable[[], torch.nn.Module], weights: WeightsFile | None, choice: Choice = filling.ANY
) -> torch.nn.Module:
    """The module with its weights, ready to denoise.

    Unavailable where the file or a package is missing, WeightsError where the file cannot be used or leaves a choice.
    """
    try:
        module = make()
    except ImportError as error:
        raise Unavailable(f"{name} needs a package that is not installed: {error}.") from error
    if weights is not None:
        filling.fill(module, files.locate(weights, name), choice)
    return module.eval().requires_grad_(False)


def denoiser(
    module: torch.nn.Module, call: Call, noise_level: NoiseLevel, scale: float, residual: bool, fitting: Fitting
) -> Denoise:
    """A denoiser from a module that is ready, and the way to call it with an image and a level."""
    import torch

    @torch.inference_mode()
    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        amount = level.of(noisy, noise, noise_level, scale)
        estimate = fitting(noisy, lambda image: call(module, image, amount))
        return noisy - estimate if residual else estimate

    return denoise


def _plain(module: torch.nn.Module, image: torch.Tensor, level: float) -> Any:
    return module(image)


def _plane(module: torch.nn.Module, image: torch.Tensor, amount: float) -> Any:
    return module(level.with_plane(image, amount))


def _scalar(module: torch.nn.Module, image: torch.Tensor, amount: float) -> Any:
    return module(image, image.new_full((1, 1, 1, 1), amount))


CALLS: dict[NoiseLevel, Call] = {"none": _plain, "plane": _plane, "scalar": _scalar}


def _digest(weights: WeightsFile | None) -> str:
    return "" if weights is None else files.digest_of(weights)
