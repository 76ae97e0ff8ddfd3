"""Use a trained network as a denoiser: load its weights, pass the noise level, process colour channels one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from mdnbench import weights as store
from mdnbench.errors import Unavailable, WeightsError
from mdnbench.evaluation.adapters import to_numpy
from mdnbench.evaluation.estimation import known_or_estimated_std

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise
    from mdnbench.weights import Weights

# From noisy (B, C, H, W) and the noise's std (1, 1, 1, 1), or None if the network is blind, to the clean estimate.
NetworkFunction: TypeAlias = "Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]"
Level: TypeAlias = "Callable[[torch.Tensor, NoiseInfo], float]"


def fill(module: torch.nn.Module, weights: Weights) -> torch.nn.Module:
    """Load the tensors of a weights file into a module and return it.

    If the card of the weights has pruned channels, the module's parameters first get the sizes of the file's tensors.

    Raises:
        WeightsError: The weights belong to another network.

    """
    state = store.load_state(weights)
    if weights.card.keep < 1:
        resize(module, state)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"the weights {weights.name} are of another network than their card says: {error}") from None
    return module


def resize(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give parameters and buffers the sizes of the state's tensors; values are lost if the sizes differ."""
    for key, tensor in state.items():
        owner_name, _, name = key.rpartition(".")
        try:
            owner = module.get_submodule(owner_name)
            old = getattr(owner, name)
        except AttributeError:
            continue  # unknown keys are reported when the state is loaded
        if old.shape != tensor.shape:
            fresh = torch.empty_like(tensor)
            setattr(owner, name, torch.nn.Parameter(fresh) if isinstance(old, torch.nn.Parameter) else fresh)
            _rename(owner, tensor)


def _rename(owner: Any, weight: torch.Tensor) -> None:
    """Set the numbers of channels of a convolution to those of its weight; they are for display only."""
    if weight.ndim == 4 and hasattr(owner, "in_channels"):
        first, second = weight.shape[:2]
        first, second = (second, first) if getattr(owner, "transposed", False) else (first, second)
        owner.out_channels, owner.in_channels = first, second


def placed(module: torch.nn.Module, device: str) -> torch.nn.Module:
    """Return a module that is ready to compute on a device, in the channels-last layout, which convolutions prefer."""
    ready: torch.nn.Module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready.eval().requires_grad_(False)


def in_torch(module: Callable[..., torch.Tensor]) -> NetworkFunction:
    """Return a prepared module as a network function."""

    def network(planes: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        return module(planes.contiguous(memory_format=torch.channels_last), level)

    return network


def channels_of(weights: Weights) -> int:
    """Return how many channels a network takes at once: 3 if its card has the option `colour` set, otherwise 1."""
    return 3 if weights.card.options.get("colour") else 1


def denoiser(network: NetworkFunction, weights: Weights, level: Level | None = None) -> Denoise:
    """Return a network as a denoiser of images (1, C, H, W).

    A network for gray images processes a colour image channel by channel.

    Args:
        network: The network.
        weights: Its weights, whose card has the options.
        level: A function that returns the noise's std on the [0, 1] scale for a network that is not blind. By default
            it is the std of the noise info, or an estimate from the noisy image.

    """
    channels, blind, find = channels_of(weights), weights.card.blind, level or _level_of

    @torch.inference_mode()
    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        if noisy.shape[1] < channels:
            raise Unavailable(f"the weights {weights.name} are for colour images only.")
        std = None if blind else torch.full((1, 1, 1, 1), find(noisy, noise), device=noisy.device)
        planes = noisy if noisy.shape[1] == channels else noisy.transpose(0, 1)  # (C, 1, H, W): one by one
        return network(planes, std).reshape(noisy.shape).contiguous()

    return denoise


def _level_of(noisy: torch.Tensor, noise: NoiseInfo) -> float:
    return noise.std if noise.std is not None else known_or_estimated_std(to_numpy(noisy), noise)
