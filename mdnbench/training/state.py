"""All that changes while a network is trained, kept in and taken from a checkpoint as one."""

from __future__ import annotations

from pathlib import Path

import torch

from mdnbench.rng import TorchRng
from mdnbench.training import checkpoint, optimisers
from mdnbench.training.average import Average
from mdnbench.training.meter import Clock
from mdnbench.training.recipe import Recipe


class State:
    """A network in training: its optimiser, moving average, random numbers, clock and latest validation (dB)."""

    def __init__(self, network: torch.nn.Module, recipe: Recipe, images: int, device: str) -> None:
        network = network.to(device)
        if recipe.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network, self.recipe, self.device = network.train(), recipe, device
        self.average = Average(network, recipe.ema)
        self.optimiser = optimisers.make(network, recipe.optimiser)
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        self.rng = TorchRng(self.generator)
        self.clock = Clock(recipe, images)
        self.psnr: float | None = None
        self.masked_steps = 0  # in which at least 20 % of the pixels were hidden

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.clock.step,
            "elapsed": self.clock.elapsed(),
            "psnr": self.psnr,
            "masked_steps": self.masked_steps,
            "budget": str(self.recipe.budget),
        }
        checkpoint.save(path, state)

    def resume(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, if there is one.

        Where the budget has changed since, go on from the checkpoint before the learning rate fell, if there is one.
        """
        state = checkpoint.load(folder / "checkpoint.pt", self.device)
        if state and state["budget"] != str(self.recipe.budget):
            state = checkpoint.load(folder / "plateau.pt", self.device) or state
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"].cpu())
        self.clock.step, self.clock.before = state["step"], state["elapsed"]
        self.psnr, self.masked_steps = state["psnr"], state["masked_steps"]
