"""Make a method from a function over NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mdnbench.evaluation.adapters import numpy_denoiser, to_numpy
from mdnbench.evaluation.estimation import known_or_estimated_std
from mdnbench.spec.names import Value
from mdnbench.wrappers import method_fields as abouts
from mdnbench.wrappers.method_fields import MethodFields, Wants
from mdnbench.wrappers.tiling import Tiling

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise, DenoiserSpec, Image


def wrap_numpy(
    name: str,
    function: Callable[..., Any],
    *,
    wants: Wants = "std",
    channels: tuple[int, ...] = (1,),
    by_channel: bool = False,
    **about: Unpack[MethodFields],
) -> DenoiserSpec:
    """Make a method from a function over NumPy arrays.

    The function takes and returns float32 (H, W) or (H, W, 3), nominally in [0, 1].

    Args:
        name: The name of the method.
        function: The function. Its arguments depend on `wants`.
        wants: For 'std', the function is called as `function(noisy, std, **options)` with the noise's standard
            deviation on the [0, 1] scale, which is estimated if it is unknown. For 'noise' it is called as
            `function(noisy, noise, **options)` with the NoiseInfo, and for 'nothing' as `function(noisy, **options)`.
        channels: The numbers of channels that the function accepts.
        by_channel: Whether a function for gray images processes colour images channel by channel.
        **about: Optional fields of DenoiserSpec: revision, summary, options, packages, licence, citation, published_as,
            files, stabilise.

    """
    fitting = Tiling(by_channel=by_channel)

    def build(options: Mapping[str, Value], device: str) -> Denoise:
        def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
            known = _noise_arguments(noisy, noise, wants)
            plain = numpy_denoiser(lambda image, _: _called(function, image, known, options))
            return fitting(noisy, lambda image: plain(image, noise))

        return denoise

    return abouts.spec(
        name, build, wants=wants, channels=(1, 3) if by_channel else channels, packages=("numpy",), about=about,
        content=(wants, by_channel),
    )  # fmt: skip


def _noise_arguments(noisy: torch.Tensor, noise: NoiseInfo, wants: Wants) -> tuple[Any, ...]:
    """Return the arguments about the noise for a function; one level holds for all channels."""
    if wants == "std":
        return (known_or_estimated_std(to_numpy(noisy), noise),)
    return (noise,) if wants == "noise" else ()


def _called(function: Callable[..., Any], image: Image, known: tuple[Any, ...], options: Mapping[str, Value]) -> Any:
    return function(image, *known, **options)
