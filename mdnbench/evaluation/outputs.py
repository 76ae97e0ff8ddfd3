"""Checking what a denoiser gave back: shape, type, range, and that it left its input alone. Nothing is repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class InvalidOutput(Exception):
    """The output breaks the contract; the message says what was expected and what came."""


def check(given: Any, noisy: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """What was given, if it is float32 of the input's shape, finite, on [0, 1], and the input is untouched."""
    import torch

    if not torch.equal(noisy, original):
        raise InvalidOutput("the denoiser wrote into its input; it must work on a copy.")
    if not isinstance(given, torch.Tensor):
        raise InvalidOutput(f"expected a torch tensor, got {type(given).__name__}.")
    output = given.detach()
    if output.layout != torch.strided or output.is_meta:
        raise InvalidOutput(f"expected a dense tensor, got one of layout {output.layout} on device {output.device}.")
    if output.dtype != torch.float32:
        raise InvalidOutput(f"expected dtype torch.float32, got {output.dtype}.")
    if output.shape != noisy.shape:
        raise InvalidOutput(f"expected shape {tuple(noisy.shape)}, got {tuple(output.shape)}.")
    if not bool(torch.isfinite(output).all()):
        bad = int((~torch.isfinite(output)).sum())
        raise InvalidOutput(f"expected finite values, got {bad} NaN or infinite pixels of {output.numel()}.")
    _check_range(output, original)
    return output


def check_array(output: Any, shape: tuple[int, ...]) -> None:
    """Refuse what a NumPy function gave back unless it is a real floating array of this shape."""
    import numpy as np

    if not isinstance(output, np.ndarray):
        raise InvalidOutput(f"expected a NumPy array, got {type(output).__name__}.")
    if output.dtype.kind != "f":
        raise InvalidOutput(f"expected a floating dtype, got {output.dtype}.")
    if output.shape != shape:
        raise InvalidOutput(f"expected shape {shape}, got {output.shape}.")


def _check_range(output: torch.Tensor, noisy: torch.Tensor) -> None:
    """Refuse what is on another scale. The noise hardly moves the mean, so a mean many times the input's tells it."""
    mean, expected = float(output.mean().abs()), float(noisy.mean().abs())
    if mean > 2 and mean > 16 * expected:
        low, high = float(output.min()), float(output.max())
        raise InvalidOutput(f"expected values on the [0, 1] scale, got {low:.3g} to {high:.3g}: 0-255?")
