"""The optimisers that a recipe can name, and the schedules of their learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from mdnbench.training.recipe import Optimiser, RateSchedule


def make(network: torch.nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """Return the optimiser of a network's parameters."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if settings.kind == "muon":
        return Muon(parameters, settings.lr, settings.betas, settings.weight_decay)
    common: dict[str, Any] = {"lr": settings.lr, "betas": settings.betas, "weight_decay": settings.weight_decay}
    return torch.optim.AdamW(parameters, fused=True, **common)


def rate(settings: Optimiser, schedule: RateSchedule, step: int, progress: float) -> float:
    """Return the learning rate at a step and a progress (0 to 1), including warm-up."""
    top, final = settings.lr, min(schedule.final, settings.lr)
    if schedule.kind == "cosine":
        level = final + (top - final) * (1 + math.cos(math.pi * progress)) / 2
    elif schedule.kind == "exponential":
        level = top * (final / top) ** progress
    else:
        level = final + (top - final) * min(1.0, (1 - progress) / schedule.cooldown)
    return level * min(1.0, (step + 1) / max(1, settings.warmup))


class Muon(torch.optim.Optimizer):
    """An optimiser that orthogonalises the momentum of weight matrices (Jordan et al., 2024), and is Adam for the rest.

    A convolution's kernel counts as a matrix (outputs, inputs × kernel). The update of a matrix is scaled to the root
    mean square of Adam's (0.2, Liu et al., 2025), so one learning rate serves both. Matrices of one shape are
    orthogonalised together, because launching many small products on a GPU takes longer than computing them.
    """

    def __init__(
        self, parameters: list[torch.nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size | None, list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(parameter.shape if _is_matrix(parameter) else None, []).append(parameter)
            for shape, parameters in alike.items():
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                updates = self._vectors(parameters, *group["betas"]) if shape is None else self._matrices(parameters)
                torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _matrices(self, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the updates of parameters that share one shape."""
        grads = _grads(parameters)
        momenta = self._kept("momentum", parameters)
        torch._foreach_lerp_(momenta, grads, 1 - 0.95)
        ahead = torch.stack(torch._foreach_lerp(grads, momenta, 0.95))  # Nesterov
        matrices = ahead.flatten(2)  # (parameters, outputs, inputs × kernel)
        scale = 0.2 * math.sqrt(max(matrices.shape[1:]))
        return list(orthogonal(matrices).mul_(scale).reshape(ahead.shape).unbind())

    def _vectors(self, parameters: list[torch.Tensor], first: float, second: float) -> list[torch.Tensor]:
        """Return the updates of parameters of any shapes, by Adam."""
        grads = _grads(parameters)
        means, squares = self._kept("mean", parameters), self._kept("square", parameters)
        counts = [self.state[parameter].get("count", 0) + 1 for parameter in parameters]
        for parameter, count in zip(parameters, counts, strict=True):
            self.state[parameter]["count"] = count
        torch._foreach_lerp_(means, grads, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, grads, grads, 1 - second)
        roots = torch._foreach_sqrt(torch._foreach_div(squares, [1 - second**count for count in counts]))
        torch._foreach_add_(roots, 1e-8)
        updates = torch._foreach_div(means, [1 - first**count for count in counts])
        torch._foreach_div_(updates, roots)
        return list(updates)

    def _kept(self, name: str, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the stored tensors of this name for the parameters; zeros at first."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Return an approximation of the nearest semi-orthogonal matrix to each matrix (N, rows, columns).

    It takes five quintic Newton–Schulz iterations. All iterates are polynomials of the Gram matrix of the shorter side,
    times the matrix itself. So only the small square matrices are iterated, with two large products in all instead of
    ten.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-12)
    gram = x @ x.mT
    whole = torch.eye(gram.shape[1], device=gram.device).expand_as(gram)
    for _ in range(5):
        step = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        step.diagonal(dim1=1, dim2=2).add_(3.4445)
        whole = step @ whole
        gram = step @ gram @ step
    nearest: torch.Tensor = whole @ x
    return nearest.mT if tall else nearest


def _grads(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _is_matrix(parameter: torch.Tensor) -> bool:
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 16
