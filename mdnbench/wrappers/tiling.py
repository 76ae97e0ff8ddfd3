"""Fit images to a network: split channels, pad sides to a multiple, and cut large images into tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from mdnbench.errors import BadOption
from mdnbench.evaluation.outputs import InvalidOutput

Apply = Callable[[Any], Any]  # a network as a function over tensors (1, C, H, W)


@dataclass(frozen=True, slots=True)
class Tiling:
    """How images are fitted to a network.

    Attributes:
        multiple: Height and width are padded by reflection to multiples of this number, and cropped back.
        tile: Images with a longer side are cut into tiles of this side in pixels; 0 means never.
        overlap: The number of pixels that adjacent tiles share.
        by_channel: Whether a network for one channel processes each channel separately.

    """

    multiple: int = 1
    tile: int = 0
    overlap: int = 64
    by_channel: bool = False

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.tile < 0 or self.overlap < 0:
            raise BadOption(
                f"multiple={self.multiple}, tile={self.tile}, overlap={self.overlap} is not allowed; multiple is at "
                "least 1, tile and overlap are at least 0 (tile=0: no tiles)."
            )
        if self.tile and self.core < 1:
            raise BadOption(
                f"tile={self.tile} is not allowed with overlap={self.overlap} and multiple={self.multiple}; a tile "
                f"must be at least {2 * self.margin + self.multiple} pixels, of which the overlap is context."
            )

    @property
    def margin(self) -> int:
        """Return the context on each side of a tile in pixels.

        It is half of the overlap, rounded up to a multiple of `multiple`.
        """
        return -(-self.overlap // (2 * self.multiple)) * self.multiple

    @property
    def core(self) -> int:
        """Return the side in pixels of the part of a tile whose result is used, a multiple of `multiple`."""
        return (self.tile - 2 * self.margin) // self.multiple * self.multiple

    def __call__(self, image: torch.Tensor, apply: Apply) -> torch.Tensor:
        """Return the result of `apply` for the image (1, C, H, W)."""
        if self.by_channel and image.shape[1] > 1:
            return torch.cat([self._whole(image[:, c : c + 1], apply) for c in range(image.shape[1])], dim=1)
        return self._whole(image, apply)

    def _whole(self, image: torch.Tensor, apply: Apply) -> torch.Tensor:
        return padded(image, self.multiple, lambda each: self._tiled(each, apply))

    def _tiled(self, image: torch.Tensor, apply: Apply) -> torch.Tensor:
        """Return the result of `apply` for each tile; only the core of a tile is used, so tiles meet in mid-overlap."""
        height, width = image.shape[-2:]
        if not self.tile or max(height, width) <= self.tile:
            return _estimate(image, apply)

        result = torch.empty_like(image)
        for rows, kept_rows in self._cuts(height):
            for columns, kept_columns in self._cuts(width):
                estimate = _estimate(image[..., rows, columns].contiguous(), apply)
                inside = [_within(kept, cut) for kept, cut in ((kept_rows, rows), (kept_columns, columns))]
                result[..., kept_rows, kept_columns] = estimate[..., inside[0], inside[1]]
        return result

    def _cuts(self, side: int) -> Iterator[tuple[slice, slice]]:
        """Yield for each tile of an axis the input range and the range that is used.

        All input ranges have the same length if the axis is long enough.
        """
        length = self.core + 2 * self.margin
        for first in range(0, side, self.core):
            start = max(0, min(first - self.margin, side - length))
            yield slice(start, min(side, start + length)), slice(first, min(side, first + self.core))


def padded(image: torch.Tensor, multiple: int, apply: Apply, least: int = 0) -> torch.Tensor:
    """Return the result of `apply` for the image after padding by reflection, cropped back.

    Args:
        image: The image, (1, C, H, W).
        multiple: Height and width are padded to multiples of this number.
        apply: The network.
        least: The smallest height and width after padding.

    """
    height, width = image.shape[-2:]
    rows, columns = (_reflected(side, multiple, least) for side in (height, width))
    if (len(rows), len(columns)) == (height, width):
        return _estimate(image, apply)
    larger = image[..., rows.to(image.device), :][..., columns.to(image.device)]
    return _estimate(larger, apply)[..., :height, :width].contiguous()


def _reflected(side: int, multiple: int, least: int) -> torch.Tensor:
    """Return the positions 0 to side - 1, continued back and forth; the outermost pixels are not repeated."""
    period = max(2 * side - 2, 1)
    positions = torch.arange(-(-max(side, least) // multiple) * multiple) % period
    return torch.where(positions < side, positions, period - positions)


def _estimate(image: torch.Tensor, apply: Apply) -> torch.Tensor:
    """Return the network's result for an image; raise InvalidOutput if it has another shape."""
    estimate: torch.Tensor = apply(image)
    if getattr(estimate, "shape", None) != image.shape:
        given = tuple(estimate.shape) if hasattr(estimate, "shape") else type(estimate).__name__
        raise InvalidOutput(f"expected shape {tuple(image.shape)} from the network, got {given}.")
    return estimate


def _within(kept: slice, cut: slice) -> slice:
    return slice(kept.start - cut.start, kept.stop - cut.start)
