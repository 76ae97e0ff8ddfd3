"""Denoising with trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mdnbench import weights as store
from mdnbench.errors import Unavailable, WeightsError
from mdnbench_dncnn.network import DnCNN

if TYPE_CHECKING:
    from mdnbench.records import NoiseInfo
    from mdnbench.specs import Denoise
    from mdnbench.weights import Weights


def build(device: str, weights: Weights) -> Denoise:
    """A denoiser from a weights file; the card says how deep its network is and for how many channels."""
    options = weights.card.options
    network = DnCNN(int(options["depth"]), 3 if options["colour"] else 1, norm=False)
    try:
        network.load_state_dict(store.load_state(weights))
    except RuntimeError as error:
        raise WeightsError(f"the weights {weights.name} are of another network than their card says: {error}") from None
    network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        if noisy.shape[1] < network.channels:
            raise Unavailable(f"the weights {weights.name} are for colour images only.")
        planes = noisy if noisy.shape[1] == network.channels else noisy.transpose(0, 1)  # (C, 1, H, W): one by one
        estimate: torch.Tensor = network(planes.contiguous(memory_format=torch.channels_last))
        return estimate.reshape(noisy.shape).contiguous()

    return denoise
