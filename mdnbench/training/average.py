"""The moving average of a network's weights, which is what validation and the finished file see."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch


class Average:
    """An exponential moving average of a network's parameters and buffers, quick to follow at first."""

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self.values = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the network after a step; whole numbers (counters) are copied."""
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        state = self._network.state_dict()
        floating = [key for key, value in self.values.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.values[key] for key in floating], [state[key] for key in floating], weight)
        for key in self.values.keys() - floating:
            self.values[key].copy_(state[key])

    def load(self, values: Mapping[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's average."""
        for key, value in self.values.items():
            value.copy_(values[key])

    def copy_to(self, network: torch.nn.Module) -> None:
        """Put the average in the network's place."""
        network.load_state_dict(self.values)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the average's weights in here, and its own again afterwards."""
        own = {key: value.detach().clone() for key, value in self._network.state_dict().items()}
        self.copy_to(self._network)
        try:
            yield
        finally:
            self._network.load_state_dict(own)
