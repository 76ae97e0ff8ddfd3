"""The moving average of a network's weights, which validation and the finished weights file use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch


class Average:
    """An exponential moving average of a network's parameters and buffers, which follows faster at first."""

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self.values = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after a training step. Integers, such as counters, are copied."""
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        state = self._network.state_dict()
        floating = [key for key, value in self.values.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.values[key] for key in floating], [state[key] for key in floating], weight)
        for key in self.values.keys() - floating:
            self.values[key].copy_(state[key])

    def load(self, values: Mapping[str, torch.Tensor]) -> None:
        """Continue from the average in a checkpoint."""
        for key, value in self.values.items():
            value.copy_(values[key])

    def copy_to(self, network: torch.nn.Module) -> None:
        """Copy the average into a network."""
        network.load_state_dict(self.values)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the average's weights inside the context, and its own weights again afterwards."""
        own = {key: value.detach().clone() for key, value in self._network.state_dict().items()}
        self.copy_to(self._network)
        try:
            yield
        finally:
            self._network.load_state_dict(own)
