"""Check the output of a denoiser: shape, type, range, and an unchanged input. Nothing is repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import Image


class InvalidOutput(Exception):
    """An output that breaks the rules; the message gives the expected and the actual property."""


def check_form(given: Any, noisy: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Return the output if it is a dense float32 tensor of the input's shape, and if the input is unchanged.

    Args:
        given: The result of the denoiser.
        noisy: The input that the denoiser got.
        original: A copy of the input.

    Raises:
        InvalidOutput: The output or the input is not as required.

    """
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
    return output


def check_values(output: Any, noisy: Image) -> Image:
    """Return the output if it is a float32 image of the noisy image's shape, finite and on its scale.

    This is called in a process in which no method has run, so a method's changes to torch or NumPy cannot affect it.

    Raises:
        InvalidOutput: The output is not as required.

    """
    if not isinstance(output, np.ndarray) or output.dtype != np.float32 or output.shape != noisy.shape:
        came = f"{output.dtype} {output.shape}" if isinstance(output, np.ndarray) else type(output).__name__
        raise InvalidOutput(f"expected float32 {noisy.shape}, got {came}.")
    finite = np.isfinite(output)
    if not finite.all():
        bad = int(output.size - np.count_nonzero(finite))
        raise InvalidOutput(f"expected finite values, got {bad} NaN or infinite pixels of {output.size}.")
    _check_range(output, noisy)
    return output


def check_array(output: Any, shape: tuple[int, ...]) -> None:
    """Raise InvalidOutput if the result of a NumPy function is not a real floating-point array of this shape."""
    if not isinstance(output, np.ndarray):
        raise InvalidOutput(f"expected a NumPy array, got {type(output).__name__}.")
    if output.dtype.kind != "f":
        raise InvalidOutput(f"expected a floating dtype, got {output.dtype}.")
    if output.shape != shape:
        raise InvalidOutput(f"expected shape {shape}, got {output.shape}.")


def _check_range(output: Image, noisy: Image) -> None:
    """Refuse an output on another scale.

    Noise hardly changes the mean, so a mean many times that of the input shows another scale.
    """
    mean, expected = abs(float(output.mean())), abs(float(noisy.mean()))
    if mean > 2 and mean > 16 * expected:
        low, high = float(output.min()), float(output.max())
        raise InvalidOutput(f"expected values on the [0, 1] scale, got {low:.3g} to {high:.3g}: 0-255?")
