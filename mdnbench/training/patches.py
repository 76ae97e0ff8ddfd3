"""The training images, which are in memory on the device, and random crops of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as Pillow

from mdnbench.data.images import to_gray
from mdnbench.errors import UsageError

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

LUMA = (0.299, 0.587, 0.114)  # BT.601, as in MATLAB's rgb2gray


class Patches:
    """All training images as bytes in one flat buffer on the device. Crops, flips and transposes are index arithmetic.

    Args:
        images: The images, uint8 (H, W, C), of any sizes. Those smaller than the crop are not used.
        crop: The side of the crops in pixels.
        device: The device.
        flips: 'all', 'horizontal' or 'none'.

    Attributes:
        digest: The SHA-256 of all pixels.
    """

    def __init__(self, images: Sequence[np.ndarray], crop: int, device: str, flips: str = "all") -> None:
        fitting = [image for image in images if min(image.shape[:2]) >= crop]
        if not fitting:
            raise UsageError(f"no training image is at least {crop}×{crop} pixels; lower the recipe's crop.")
        sizes = np.array([image.shape[:2] for image in fitting])
        starts = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))[:-1]])
        flat = np.concatenate([image.reshape(-1, image.shape[2]) for image in fitting])
        self.count, self.crop, self.flips = len(fitting), crop, flips
        self.digest = hashlib.sha256(flat.data).hexdigest()
        self._pixels = torch.from_numpy(flat).to(device)  # (all pixels, C)
        self._sizes = torch.from_numpy(sizes).to(device)
        self._starts = torch.from_numpy(starts).to(device)
        self._ramp = torch.arange(crop, device=device)

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return random crops, randomly flipped and transposed.

        Returns:
            float32 (batch, C, crop, crop) in [0, 1], in memory with channels last.
        """
        device = self._ramp.device
        chance = torch.rand(6, batch, generator=generator, device=device)
        image = (chance[0] * self.count).long().clamp_(max=self.count - 1)
        room = self._sizes[image] - self.crop + 1  # (batch, 2)
        corner = torch.minimum((chance[1:3].T * room).long(), room - 1)
        mirror = chance[3:6] < 0.5
        if self.flips != "all":
            mirror[::2] = False  # neither upside down nor transposed
        if self.flips == "none":
            mirror[:] = False
        back = self.crop - 1 - self._ramp
        rows = torch.where(mirror[0, :, None], back, self._ramp)[:, :, None]  # (batch, crop, 1)
        columns = torch.where(mirror[1, :, None], back, self._ramp)[:, None, :]  # (batch, 1, crop)
        across = mirror[2, :, None, None]
        y = torch.where(across, rows.mT, rows)  # (batch, crop, crop)
        x = torch.where(across, columns.mT, columns)
        width = self._sizes[image, 1, None, None]
        start = self._starts[image, None, None]
        index = start + (corner[:, 0, None, None] + y) * width + corner[:, 1, None, None] + x
        chosen: torch.Tensor = self._pixels[index]  # (batch, crop, crop, C)
        return chosen.permute(0, 3, 1, 2).float().div_(255)


def jitter(clean: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Change the colours of images randomly.

    Args:
        clean: Colour images (B, 3, H, W).
        strength: Brightness, contrast and saturation are each scaled by 1 ± strength, separately for each image.
        generator: The random number generator.
    """
    chance = torch.rand(3, len(clean), 1, 1, 1, generator=generator, device=clean.device)
    brightness, contrast, saturation = 1 + strength * (2 * chance - 1)
    weights = torch.tensor(LUMA, device=clean.device).view(1, 3, 1, 1)
    clean = clean * brightness  # (B, 3, H, W)
    gray = (clean * weights).sum(1, keepdim=True)
    clean = gray + (clean - gray) * saturation
    mean = gray.mean((2, 3), keepdim=True)
    changed: torch.Tensor = mean + (clean - mean) * contrast
    return changed.clamp(0, 1)


def to_bytes(image: Image, channels: int) -> np.ndarray:
    """Return a float32 image (H, W) or (H, W, 3) in [0, 1] as uint8 (H, W, channels). Gray is BT.601 luma."""
    planes = to_gray(image)[..., None] if channels == 1 else np.atleast_3d(image)
    if planes.shape[2] < channels:
        planes = planes.repeat(channels, axis=2)
    data: np.ndarray = np.rint(planes.clip(0, 1) * 255).astype(np.uint8)
    return data


def rescaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Return a uint8 image (H, W, C), made smaller by bicubic interpolation, or the image itself at scale 1."""
    if scale == 1:
        return image

    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    planes = [Pillow.fromarray(plane) for plane in np.ascontiguousarray(np.moveaxis(image, 2, 0))]
    return np.stack([np.asarray(plane.resize(size, Pillow.Resampling.BICUBIC)) for plane in planes], axis=2)


def load(names: Sequence[str], read: Callable[[str], Image], channels: int) -> list[np.ndarray]:
    """Return the named images as uint8 (H, W, channels)."""
    return [to_bytes(read(name), channels) for name in names]
