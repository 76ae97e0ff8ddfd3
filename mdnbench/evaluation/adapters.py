"""Wrappers that turn what an author already has into a denoiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise, Image


def numpy_denoiser(function: Callable[[Image, NoiseInfo], Any]) -> Denoise:
    """Wrap `function(noisy, noise) -> image` over NumPy arrays as a denoiser.

    The function takes float32 (H, W) for gray and (H, W, 3) for colour, nominally in [0, 1], and returns the same
    shape in any floating type; anything else is an invalid output, as it is for a function over tensors.
    """

    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        from mdnbench.evaluation import outputs

        given = to_numpy(noisy)
        shape = given.shape
        image = function(given, noise)
        outputs.check_array(image, shape)
        return to_tensor(image).to(noisy.device)

    return denoise


def to_numpy(tensor: torch.Tensor) -> Image:
    """(1, C, H, W) to (H, W) for one channel, else to (H, W, C); float32, its own memory."""
    import numpy as np

    array: Image = np.ascontiguousarray(tensor.detach().cpu().numpy()[0].transpose(1, 2, 0), dtype=np.float32)
    return array[..., 0].copy() if array.shape[-1] == 1 else array.copy()


def to_tensor(image: Any) -> torch.Tensor:
    """(H, W) or (H, W, C) to float32 (1, C, H, W), its own memory."""
    import numpy as np
    import torch

    array = np.array(image, dtype=np.float32)
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes)[None])
