"""Computations over the rows of all processes that train together: a mean, and batch normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class RankMean(torch.autograd.Function):
    """The mean over processes.

    Its gradient is the mean of their gradients, because each value is part of every loss.
    """

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor of any shape, which is the same in all processes."""
        return _mean(value)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Return the mean of all processes' gradients."""
        return _mean(gradient)


def _mean(value: torch.Tensor) -> torch.Tensor:
    total = value.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class BatchNorm(_BatchNorm):
    """Batch normalisation over the rows of all processes. torch's own (SyncBatchNorm) works only on GPUs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised input (B, C, …), in the same shape."""
        if not self.training:
            return super().forward(x)
        dims, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        values = x.float()
        mean: torch.Tensor = RankMean.apply(values.mean(dims))  # type: ignore[no-untyped-call]
        centred = values - mean.view(shape)
        var: torch.Tensor = RankMean.apply(centred.square().mean(dims))  # type: ignore[no-untyped-call]
        self._follow(mean.detach(), var.detach(), distributed.get_world_size() * x.numel() // x.shape[1])
        normal = centred * (var + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)

    def _follow(self, mean: torch.Tensor, var: torch.Tensor, values: int) -> None:
        """Update the running statistics, given the number of values per channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(var * values / (values - 1), weight)

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Accept any number of dimensions."""


def share_norms(network: nn.Module) -> None:
    """Replace every batch normalisation of a network by one over all processes, with the same tensors."""
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, _BatchNorm):
                made = BatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
                made.load_state_dict(norm.state_dict())
                setattr(parent, name, made)
