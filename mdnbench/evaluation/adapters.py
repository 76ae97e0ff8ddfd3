"""Wrap functions over NumPy arrays as denoisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench.evaluation import outputs

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise, Image


def numpy_denoiser(function: Callable[[Image, NoiseInfo], Any]) -> Denoise:
    """Wrap a function over NumPy arrays as a denoiser.

    Args:
        function: `function(noisy, noise)` takes a float32 image, (H, W) for gray or (H, W, 3) for colour, nominally in
            [0, 1], and the NoiseInfo. It returns an image of the same shape in any floating type.

    Returns:
        The denoiser. Any other result of the function is an invalid output.

    """

    def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
        given = to_numpy(noisy)
        shape = given.shape
        image = function(given, noise)
        outputs.check_array(image, shape)
        return to_tensor(image).to(noisy.device)

    return denoise


def to_numpy(tensor: torch.Tensor) -> Image:
    """Convert (1, C, H, W) to a float32 copy of shape (H, W) for one channel, or (H, W, C) for several."""
    array: Image = np.ascontiguousarray(tensor.detach().cpu().numpy()[0].transpose(1, 2, 0), dtype=np.float32)
    return array[..., 0].copy() if array.shape[-1] == 1 else array.copy()


def to_tensor(image: Any) -> torch.Tensor:
    """Convert (H, W) or (H, W, C) to a float32 copy of shape (1, C, H, W)."""
    import torch

    array = np.array(image, dtype=np.float32)
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes)[None])
