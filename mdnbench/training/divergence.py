"""A training that has diverged: its numbers are none any more, and nothing that it wrote would be of use."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from mdnbench.errors import BadPlugin, WeightsError
from mdnbench.training import ranks


def check(step: int, loss: float, psnr: float | None, weights: Iterable[torch.Tensor] = ()) -> None:
    """WeightsError where loss, validation PSNR (dB) or a weight is not finite; the first process decides.

    An infinite PSNR is no such thing: an image was restored exactly.
    """
    if not ranks.first():
        return
    problems = {
        f"the loss is {loss:g}": not math.isfinite(loss),
        "the validation PSNR is nan": psnr is not None and math.isnan(psnr),
        "its weights are not finite": not finite(weights),
    }
    for problem, true in problems.items():
        if true:
            raise WeightsError(
                f"the training has diverged: at step {step} {problem}; no weights were written. Train with a smaller "
                "learning rate (--set optimiser.lr=1e-4), or clip the gradients (--set optimiser.clip=1)."
            )


def check_loss(loss: object) -> None:
    """BadPlugin where a method's loss is nothing that gradients could follow from."""
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
        came = f"a tensor {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        why = ", cut off from the network" if isinstance(loss, torch.Tensor) and not loss.requires_grad else ""
        raise BadPlugin(f"the loss must be one number that depends on the network's parameters; it is {came}{why}.")


def finite(weights: Iterable[torch.Tensor]) -> bool:
    """Whether all numbers are finite; a GPU is waited for once."""
    found = [weight.isfinite().all() for weight in weights]
    return not found or bool(torch.stack(found).all())
