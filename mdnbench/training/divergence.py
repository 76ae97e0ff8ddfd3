"""The detection of a diverged training, whose numbers are not finite and whose weights would be useless."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from mdnbench.errors import BadPlugin, WeightsError
from mdnbench.training import ranks


def check(step: int, loss: float, psnr: float | None, weights: Iterable[torch.Tensor] = ()) -> None:
    """Check that a training has not diverged. Only the first process checks.

    Args:
        step: The number of steps done.
        loss: The mean loss.
        psnr: The validation PSNR in dB; infinity is allowed, because an image can be restored exactly.
        weights: The weights.

    Raises:
        WeightsError: The loss, the PSNR or a weight is not finite.
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
    """Check the value that a method's loss function returned.

    Raises:
        BadPlugin: It is not a single number with a gradient.
    """
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
        came = f"a tensor {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        why = ", cut off from the network" if isinstance(loss, torch.Tensor) and not loss.requires_grad else ""
        raise BadPlugin(f"the loss must be one number that depends on the network's parameters; it is {came}{why}.")


def finite(weights: Iterable[torch.Tensor]) -> bool:
    """Return whether all values are finite. This waits for a GPU only once."""
    found = [weight.isfinite().all() for weight in weights]
    return not found or bool(torch.stack(found).all())
