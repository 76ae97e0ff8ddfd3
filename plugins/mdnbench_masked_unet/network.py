"""The network: a residual U-Net without biases on 2×2 unshuffled pixels, with optional parts for masked training."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = {"default": (48, 80, 128, 160), "large": (64, 128, 192, 256)}


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size, or divides it by its stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, bias=False)


class Block(nn.Module):
    """Two convolutions with a ReLU between them, whose output is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (B, width, H, W) of the same shape as the input."""
        change: torch.Tensor = self.second(F.relu(self.first(x), inplace=True))
        return x + change


class MaskAttention(nn.Module):
    """A layer that weighs features at hidden positions by a learnt map. Other features pass unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze, self.weigh = conv(width, max(8, width // 4), 1), conv(max(8, width // 4), 1, 1)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the weighed features, (B, width, H, W) as the input.

        Args:
            x: The features.
            hidden: The fraction of each position that is hidden, 0 to 1, (B, 1, H, W).
        """
        weight = torch.sigmoid(self.weigh(F.relu(self.squeeze(x), inplace=True)))
        return x * (1 - hidden * (1 - weight))


class UNet(nn.Module):
    """A network that estimates the clean image from a noisy one of any size.

    The image is replicate-padded to a multiple of 16, and the output is cropped.

    Args:
        channels: The number of image channels.
        blind: Whether the network works without the noise level.
        masked: Whether it has a mask among its inputs, for training, and an attention at every encoder level.
        widths: The number of features at each level.
        blocks: The number of blocks at each level.
    """

    def __init__(self, channels: int, blind: bool, masked: bool, widths: tuple[int, ...], blocks: int = 2) -> None:
        super().__init__()
        self.channels, self.blind, self.masked = channels, blind, masked
        planes = 4 * channels
        self.head = conv(planes, widths[0])
        self.level = None if blind else conv(1, widths[0], 1)
        self.hide = conv(4, widths[0]) if masked else None
        pairs = list(itertools.pairwise(widths))
        self.encoder = nn.ModuleList(_blocks(width, blocks) for width in widths[:-1])
        self.attention = nn.ModuleList(MaskAttention(width) for width in widths[:-1]) if masked else None
        self.down = nn.ModuleList(conv(fine, coarse, 2, 2) for fine, coarse in pairs)
        self.bottom = _blocks(widths[-1], blocks)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2, bias=False) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(_blocks(width, blocks) for width in widths[:-1])
        self.tail = conv(widths[0], planes)
        self.multiple = 2 ** len(widths)

    def forward(
        self, noisy: torch.Tensor, std: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the clean estimate of noisy (B, C, H, W).

        Args:
            noisy: The noisy image.
            std: The standard deviation of the noise (B, 1, 1, 1); None if blind.
            mask: The mask (B, 1, H, W), 1 for hidden pixels; None to hide nothing.
        """
        height, width = noisy.shape[-2:]
        if mask is not None:
            noisy = noisy * (1 - mask)
            mask = pad(mask, self.multiple)
        first = x = self._enter(pad(noisy, self.multiple), std, mask)
        skips = []
        for index, (blocks, down) in enumerate(zip(self.encoder, self.down, strict=True)):
            x = blocks(x)
            if mask is not None and self.attention is not None:
                x = self.attention[index](x, F.avg_pool2d(mask, 2 ** (index + 1)))
            skips.append(x)
            x = down(x)
        x = self.bottom(x)
        for blocks, up, skip in zip(reversed(self.decoder), reversed(self.up), reversed(skips), strict=True):
            x = blocks(up(x) + skip)
        return F.pixel_shuffle(self.tail(x + first), 2)[..., :height, :width]

    def _enter(self, noisy: torch.Tensor, std: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        """Return the first features: the sum of those of pixels, noise level and mask. A mask of zeros adds nothing."""
        x: torch.Tensor = self.head(F.pixel_unshuffle(noisy, 2))
        if self.level is not None:
            assert std is not None, "this network needs the noise level"
            x = x + self.level(std.to(x.device))
        if mask is not None and self.hide is not None:
            x = x + self.hide(F.pixel_unshuffle(mask, 2))
        return x


def pad(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Return (B, C, H, W), replicate-padded at the bottom and right to multiples of `multiple`.

    In an export, padding is always part of the graph, because the size of later images is not known.
    """
    down, right = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    needed = torch.compiler.is_exporting() or down or right
    return F.pad(image, (0, right, 0, down), mode="replicate") if needed else image


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


def make(masked: bool, *, blind: bool, size: str, colour: bool) -> UNet:
    """Return an untrained network; `size` is a key of WIDTHS."""
    return UNet(3 if colour else 1, blind, masked, WIDTHS[size])
