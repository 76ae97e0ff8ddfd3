"""Denoising with trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench import inference
from mdnbench.cells.adapters import to_numpy
from mdnbench_masked_unet.network import make

if TYPE_CHECKING:
    import torch

    from mdnbench.records import NoiseInfo
    from mdnbench.specs import Denoise
    from mdnbench.weights import Weights


def build(masked: bool, device: str, weights: Weights) -> Denoise:
    """A denoiser from a weights file; the card says which network it is of."""
    network = make(masked, blind=weights.card.blind, **weights.card.options)
    ready = inference.placed(inference.fill(network, weights), device)
    return inference.denoiser(inference.in_torch(ready), weights, _std)


def _std(noisy: torch.Tensor, noise: NoiseInfo) -> float:
    """The noise level: what the method is told, or else an estimate from the noisy image's finest wavelets."""
    if noise.std is not None:
        return noise.std
    from skimage.restoration import estimate_sigma

    return float(estimate_sigma(to_numpy(noisy), channel_axis=-1 if noisy.shape[1] > 1 else None, average_sigmas=True))
