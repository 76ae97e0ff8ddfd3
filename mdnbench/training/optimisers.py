"""The optimisers that a recipe can name, and how their learning rate falls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from mdnbench.training.recipe import Optimiser, Schedule


def make(network: torch.nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of a network's parameters."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if settings.kind == "muon":
        return Muon(parameters, settings.lr, settings.betas, settings.weight_decay)
    common: dict[str, Any] = {"lr": settings.lr, "betas": settings.betas, "weight_decay": settings.weight_decay}
    return torch.optim.AdamW(parameters, fused=True, **common)


def rate(settings: Optimiser, schedule: Schedule, step: int, progress: float) -> float:
    """The learning rate at a step and a progress (0 to 1), warm-up included."""
    top, final = settings.lr, min(schedule.final, settings.lr)
    if schedule.kind == "cosine":
        level = final + (top - final) * (1 + math.cos(math.pi * progress)) / 2
    elif schedule.kind == "exponential":
        level = top * (final / top) ** progress
    else:
        level = final + (top - final) * min(1.0, (1 - progress) / schedule.cooldown)
    return level * min(1.0, (step + 1) / max(1, settings.warmup))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised per weight matrix (Jordan et al., 2024); Adam for all else.

    A convolution's kernel counts as a matrix (outputs, inputs × kernel). The update of a matrix is scaled so that its
    root mean square is that of Adam's (0.2, Liu et al., 2025), so that one learning rate serves both.
    """

    def __init__(
        self, parameters: list[torch.nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                state, kind = self.state[parameter], self._matrix if _is_matrix(parameter) else self._vector
                parameter.add_(kind(parameter.grad, state, group["betas"]), alpha=-group["lr"])

    def _matrix(self, grad: torch.Tensor, state: dict[str, Any], betas: tuple[float, float]) -> torch.Tensor:
        momentum: torch.Tensor = state.setdefault("momentum", torch.zeros_like(grad))
        momentum.lerp_(grad, 1 - 0.95)
        ahead = grad.lerp(momentum, 0.95)  # Nesterov
        matrix = ahead.reshape(len(ahead), -1)
        return orthogonal(matrix).mul_(0.2 * math.sqrt(max(matrix.shape))).reshape(grad.shape)

    def _vector(self, grad: torch.Tensor, state: dict[str, Any], betas: tuple[float, float]) -> torch.Tensor:
        first, second = betas
        mean: torch.Tensor = state.setdefault("mean", torch.zeros_like(grad))
        square: torch.Tensor = state.setdefault("square", torch.zeros_like(grad))
        state["count"] = state.get("count", 0) + 1
        mean.lerp_(grad, 1 - first)
        square.mul_(second).addcmul_(grad, grad, value=1 - second)
        unbiased = (square / (1 - second ** state["count"])).sqrt_().add_(1e-8)
        direction: torch.Tensor = mean / (1 - first ** state["count"]) / unbiased
        return direction


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """About the nearest semi-orthogonal matrix, by five quintic Newton–Schulz iterations.

    All iterates are polynomials of the Gram matrix of the shorter side times the matrix itself, so that only the small
    square matrices are iterated: two large products in all instead of ten.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x: torch.Tensor = matrix.mT if tall else matrix
    x = x / (x.norm() + 1e-12)
    gram = x @ x.mT
    whole = torch.eye(len(gram), device=gram.device)
    for _ in range(5):
        step = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        step.diagonal().add_(3.4445)
        whole = step @ whole
        gram = step @ gram @ step
    x = whole @ x
    return x.mT if tall else x


def _is_matrix(parameter: torch.Tensor) -> bool:
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 16
