"""Denoising with trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mdnbench import weights as store
from mdnbench.cells.adapters import to_numpy
from mdnbench.errors import Unavailable, WeightsError
from mdnbench_masked_unet.network import make

if TYPE_CHECKING:
    from mdnbench.records import NoiseInfo
    from mdnbench.specs import Denoise
    from mdnbench.weights import Weights


def build(masked: bool, device: str, weights: Weights) -> Denoise:
    """A denoiser from a weights file; the card says which network it is of."""
    network = make(masked, blind=weights.card.blind, **weights.card.options)
    try:
        network.load_state_dict(store.load_state(weights))
    except RuntimeError as error:
        raise WeightsError(f"the weights {weights.name} are of another network than their card says: {error}") from None
    network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        level = None if network.blind else torch.full((1, 1, 1, 1), _std(noisy, noise), device=noisy.device)
        if noisy.shape[1] < network.channels:
            raise Unavailable(f"the weights {weights.name} are for colour images only.")
        planes = noisy if noisy.shape[1] == network.channels else noisy.transpose(0, 1)  # (C, 1, H, W): one by one
        estimate: torch.Tensor = network(planes.contiguous(memory_format=torch.channels_last), level)
        return estimate.reshape(noisy.shape).contiguous()

    return denoise


def _std(noisy: torch.Tensor, noise: NoiseInfo) -> float:
    """The noise level: what the method is told, or else an estimate from the noisy image's finest wavelets."""
    if noise.std is not None:
        return noise.std
    from skimage.restoration import estimate_sigma

    return float(estimate_sigma(to_numpy(noisy), channel_axis=-1 if noisy.shape[1] > 1 else None, average_sigmas=True))
