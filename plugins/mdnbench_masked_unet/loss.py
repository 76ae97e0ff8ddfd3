"""The training loss. If a mask hides pixels, it is computed separately for visible and hidden pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from mdnbench.training import ranks

if TYPE_CHECKING:
    from mdnbench.spec.specs import Rng
    from mdnbench.training.recipe import Mask, Moment, Recipe


def loss(
    network: torch.nn.Module,
    clean: torch.Tensor,
    noisy: torch.Tensor,
    std: torch.Tensor | None,
    rng: Rng,
    moment: Moment,
    recipe: Recipe,
) -> torch.Tensor:
    """Return the loss of one batch; clean and noisy are (B, C, H, W), std is (B, 1, 1, 1) or None."""
    settings = recipe.mask
    mask = None if settings is None else draw(settings, settings.ratio(moment), clean, rng)
    estimate = network(noisy, std) if mask is None else network(noisy, std, mask)
    total = parted(penalty(estimate.float(), clean, recipe.loss.kind), mask, settings)
    for stage in range(1, recipe.loss.stages + 1):
        coarse = F.avg_pool2d(estimate.float(), 2**stage)
        error = penalty(coarse, F.avg_pool2d(clean, 2**stage), recipe.loss.kind)
        hidden = None if mask is None else F.avg_pool2d(mask, 2**stage)
        total = total + (1 - moment.progress) / 2**stage * parted(error, hidden, settings)
    return total


def draw(settings: Mask, ratio: float, clean: torch.Tensor, rng: Rng) -> torch.Tensor | None:
    """Return a random mask (B, 1, H, W) in squares of `patch` pixels, 1 for hidden pixels; None if none are hidden."""
    if ratio <= 0:
        return None
    batch, _, height, width = clean.shape
    size = batch, 1, -(-height // settings.patch), -(-width // settings.patch)
    mask: torch.Tensor = (rng.uniform(size) < ratio).float()
    if settings.patch > 1:
        mask = mask.repeat_interleave(settings.patch, 2).repeat_interleave(settings.patch, 3)
    return mask[..., :height, :width]


def penalty(estimate: torch.Tensor, clean: torch.Tensor, kind: str) -> torch.Tensor:
    """Return the error of every pixel, (B, C, H, W).

    For "rmse", it is the square divided by the crop's root mean square.
    """
    error = estimate - clean
    if kind == "l1":
        return error.abs()
    if kind == "charbonnier":
        return (error.square() + 1e-6).sqrt()
    square = error.square()
    if kind == "l2":
        return square
    return square / (square.mean((1, 2, 3), keepdim=True).detach() + 1e-8).sqrt()  # no gradient through the divisor


def parted(error: torch.Tensor, mask: torch.Tensor | None, settings: Mask | None) -> torch.Tensor:
    """Return the mean error. With a mask, it is a weighted sum of the means over visible and over hidden pixels."""
    if mask is None or settings is None:
        return error.mean()
    channels, tiny = error.shape[1], 1e-8
    hidden = (error * mask).sum() / (ranks.mean(mask.sum()) * channels + tiny)
    kept = (error * (1 - mask)).sum() / (ranks.mean((1 - mask).sum()) * channels + tiny)
    return settings.kept * kept + settings.hidden * hidden
