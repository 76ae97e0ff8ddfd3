"""Make a method from a denoiser of the deepinv library."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mdnbench.errors import BadOption, Unavailable, UnknownName
from mdnbench.registry.torchvision_fix import import_torchvision
from mdnbench.spec.names import Value
from mdnbench.util.digests import of_parts
from mdnbench.wrappers import files, torch_module
from mdnbench.wrappers import method_fields as abouts
from mdnbench.wrappers.files import WeightsFile
from mdnbench.wrappers.method_fields import MethodFields
from mdnbench.wrappers.tiling import Tiling
from mdnbench.wrappers.weight_loading import StateSelection

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import Denoise, DenoiserSpec

INSTALL = "pip install 'mdnbench[deepinv]'"


def wrap_deepinv(
    name: str,
    model: str | Callable[..., torch.nn.Module],
    weights: WeightsFile | None = None,
    *,
    state: str = "",
    prefix: str | None = None,
    eps: float | None = None,
    arguments: Mapping[str, Value] | None = None,
    level_scale: float = 1.0,
    channels: tuple[int, ...] = (1,),
    by_channel: bool = False,
    multiple: int = 1,
    tile: int = 0,
    overlap: int = 64,
    **about: Unpack[MethodFields],
) -> DenoiserSpec:
    """Make a method from a denoiser of the deepinv library.

    The denoiser is created with `arguments` and the options. It is called as `denoiser(noisy, level)`.

    Args:
        name: The name of the method.
        model: The name of a class in `deepinv.models`, or a function that creates a denoiser.
        weights: The file of the weights. A class with trained weights needs one, because deepinv would download weights
            that are not pinned.
        state: As in `wrap_torch`.
        prefix: As in `wrap_torch`.
        eps: As in `wrap_torch`.
        arguments: Arguments of the class or function.
        level_scale: The level is this factor times the noise's standard deviation on the [0, 1] scale.
        channels: As in `wrap_torch`.
        by_channel: As in `wrap_torch`.
        multiple: As in `wrap_torch`.
        tile: As in `wrap_torch`.
        overlap: As in `wrap_torch`.
        **about: Optional fields of DenoiserSpec: revision, summary, options, packages, licence, citation, published_as,
            files, stabilise.

    """
    fitting, fixed = Tiling(multiple, tile, overlap, by_channel), dict(arguments or {})
    choice = StateSelection(state, prefix, eps)

    def build(options: Mapping[str, Value], device: str) -> Denoise:
        given = {**fixed, **options}
        module = torch_module.load(
            name, lambda: _made(name, model, given, device, weights is not None), weights, choice
        )
        return torch_module.denoiser(module.to(device), _call, "scalar", level_scale, False, fitting)

    kind = model if isinstance(model, str) else getattr(model, "__qualname__", repr(model))
    digest = "" if weights is None else files.digest_of(weights)
    return abouts.spec(
        name, build, wants="std", channels=(1, 3) if by_channel else channels, packages=("deepinv", "torch"),
        about=about, content=(kind, of_parts(fixed), digest, level_scale, repr(fitting), *choice.parts),
    )  # fmt: skip


def _made(
    name: str, model: str | Callable[..., torch.nn.Module], given: dict[str, Any], device: str, has_weights: bool
) -> torch.nn.Module:
    import_torchvision()
    try:
        from deepinv import models
    except ImportError as error:
        raise Unavailable(f"deepinv cannot be imported ({error}); install it with: {INSTALL}.") from error
    if isinstance(model, str):
        known = [each for each in dir(models) if inspect.isclass(getattr(models, each))]
        if model not in known:
            raise UnknownName("class of deepinv.models", model, known)
    make: Callable[..., Any] = getattr(models, model) if isinstance(model, str) else model
    takes = inspect.signature(make).parameters
    if "pretrained" in takes and not has_weights:
        raise BadOption(f"{name}: {make.__name__} has trained weights, and a file of them must be given: weights=FILE.")
    if "pretrained" in takes:
        given = {**given, "pretrained": None}
    if "device" in takes:
        given = {"device": device, **given}
    made: torch.nn.Module = make(**given)
    return made


def _call(module: Any, image: torch.Tensor, level: float) -> Any:
    if hasattr(module, "restart"):  # by default, iterative denoisers start from the result for the last image
        module.restart = True
    return module(image, level)
