"""Compare the speed of the training loop with that of the network alone, in pixels per second.

Usage: training_speed.py [METHOD] [--recipe best] [--data sk12] [--rounds 5] [--steps 20] [--threads 1] [--device cpu]

A bare step is the forward pass, a mean absolute error, the backward pass and the optimiser's step, on one batch that is
already in memory. Two copies of the same network take turns in this process, one with bare steps and one in the loop,
because other work of the machine then affects both alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from mdnbench import registry
from mdnbench.registry import variants
from mdnbench.training import loop
from mdnbench.training import recipe as recipes
from mdnbench.training.log import TrainingProgress
from mdnbench.training.recipe import Recipe
from mdnbench.training.training_data import TrainingData, gather
from mdnbench.training.training_state import TrainingState

WARM = 2  # the first steps of each round, which are not counted


class Bare:
    """A network that takes a bare step whenever the loop asks whether to stop, and records the times of both.

    Attributes:
        alone: The seconds of each bare step.
        in_loop: The seconds of each step of the loop.
    """

    def __init__(self, state: TrainingState, material: TrainingData) -> None:
        self._state, self._batch = state, material.draw(state.generator)
        self._context, self._left = loop.autocast(state), 0.0
        self.alone: list[float] = []
        self.in_loop: list[float] = []

    def step(self) -> bool:
        """Take one bare step, and return False, which lets the loop continue."""
        start = self._now()
        if self._left:
            self.in_loop.append(start - self._left)
        clean, noisy, std = self._batch
        with self._context:
            estimate = self._state.network(noisy, std)
        (estimate.float() - clean).abs().mean().backward()
        self._state.optimiser.step()
        self._state.optimiser.zero_grad()
        self._left = self._now()
        self.alone.append(self._left - start)
        return False

    def _now(self) -> float:
        if torch.device(self._state.device).type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    """Measure both in turn, and print the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", nargs="?", default="unet")
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--data", default="sk12")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()

    torch.set_num_threads(asked.threads)
    known = registry.load()
    named = known.method(asked.method)
    spec = known.denoisers[named.name]
    trainable = recipes.trainable_of(spec)
    changes = {"data": asked.data, "validation": {"every": 10**9, "count": 1}, "budget": {"steps": asked.steps + WARM}}
    recipe: Recipe = recipes.override(recipes.named(trainable.recipes, asked.recipe), changes)
    colour = bool(named.values().get("colour"))
    material = gather(recipe, known.datasets[recipe.data], known.noises, (), colour, asked.device)
    kilopixels = recipe.batch * recipe.crop**2 / 1000

    def fresh() -> TrainingState:
        network = trainable.network(blind=recipe.blind, **variants.own(spec, named))
        return TrainingState(network, recipe, len(material.images), asked.device)

    ratios, outside = [], []
    for _ in range(asked.rounds):
        bare, reports = Bare(fresh(), material), list[TrainingProgress]()
        with tempfile.TemporaryDirectory() as folder:
            loop.follow(trainable, fresh(), material, Path(folder), reports.append, bare.step)
        alone, in_loop = (statistics.median(times[WARM:]) for times in (bare.alone, bare.in_loop))
        pairs = zip(bare.alone[WARM:], bare.in_loop[WARM:], strict=False)  # the last bare step has no partner
        ratios.append(statistics.median(one / other for one, other in pairs))
        outside += [report.outside for report in reports if report.outside]
        speeds = f"bare {kilopixels / alone:.1f} kpx/s, loop {kilopixels / in_loop:.1f} kpx/s"
        print(f"{speeds}, ratio {ratios[-1]:.3f}", flush=True)
    share = f"; {statistics.median(outside):.1%} of the loop's time outside the network" if outside else ""
    print(f"median ratio {statistics.median(ratios):.3f}{share}")


if __name__ == "__main__":
    main()
