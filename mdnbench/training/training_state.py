"""The state of a training: everything that changes, saved to and restored from a checkpoint together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mdnbench.errors import UsageError, WeightsError
from mdnbench.training import checkpoint, optimisers, ranks
from mdnbench.training.code_record import TrainingSources
from mdnbench.training.progress_meter import TrainingClock
from mdnbench.training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"  # the latest state
PLATEAU = "plateau.pt"  # the state before a 'wsd' schedule lowers its learning rate: a longer budget continues from it

BELONGINGS = {  # what identifies a training, and the message for a checkpoint that differs
    "pixels": "on other images: the data, or what is left out of it for overlapping test data, has changed since",
    "revision": "with revision {old} of the method, which is {now} now: its plugin has changed since",
    "noises": "with the noises {old}, which are {now} now: their plugin has changed since",
    "device": "on {old}, and cannot go on with its random numbers on {now}: give --device {old}",
}


class TrainingState:
    """A network in training, with optimiser, moving average, random numbers, clock and latest validation PSNR (dB).

    Args:
        network: The network.
        recipe: The recipe.
        images: The number of training images.
        device: The device.
        belongings: What identifies the training, by the keys of BELONGINGS. A checkpoint that differs is not continued.
        code: The code that the training uses. A checkpoint of other code is not continued.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        recipe: Recipe,
        images: int,
        device: str = "cpu",
        belongings: Mapping[str, str] | None = None,
        code: TrainingSources | None = None,
    ) -> None:
        network = network.to(device)
        if recipe.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network, self.recipe, self.device = network.train(), recipe, device
        self._code = code or TrainingSources({})
        self._belongings = {"device": torch.device(device).type, **(belongings or {})}
        self.average = Average(network, recipe.ema)
        self.optimiser = optimisers.make(network, recipe.optimiser)
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        self.rng = ranks.SharedRng(self.generator)
        self.clock = TrainingClock(recipe, images)
        self.psnr: float | None = None
        self.masked_steps = 0  # steps in which at least 20 % of the pixels were hidden

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically. Of processes that train together, only the first one writes."""
        if not ranks.first():
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "global": _random_states(self.device),
            **self._belongings,
            "code": self._code.used(),
            "step": self.clock.step,
            "elapsed": self.clock.elapsed(),
            "progress": self.clock.progress(),
            "psnr": self.psnr,
            "masked_steps": self.masked_steps,
            "budget": str(self.recipe.budget),
        }
        checkpoint.save(path, state)

    def discard(self, folder: Path) -> None:
        """Remove the folder's checkpoints, because this training starts anew."""
        for name in (CHECKPOINT, PLATEAU):
            (folder / name).unlink(missing_ok=True)

    def resume(self, folder: Path) -> None:
        """Continue from the folder's checkpoint, if there is one.

        If the budget has changed, continue from the state before the learning rate began to fall.

        Raises:
            UsageError: The new budget is too short for that, or the images, the method or its code have changed.
            WeightsError: The checkpoint is damaged, or belongs to another network.
        """
        saved = checkpoint.load(folder / CHECKPOINT, self.device)
        if saved is None:
            return
        changed, falling = saved["budget"] != str(self.recipe.budget), self.recipe.schedule.falling
        fell = changed and saved["progress"] >= falling
        if fell and (plateau := checkpoint.load(folder / PLATEAU, self.device)):
            saved, fell = plateau, False
        self._check(saved, folder)
        try:
            self._take(saved)
        except (RuntimeError, ValueError, KeyError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            message = f"the checkpoint in {folder} is not of this network ({first}); train it with --from-scratch."
            raise WeightsError(message) from None
        if fell:
            raise UsageError(
                f"the learning rate of the training in {folder} has fallen already, and {PLATEAU}, from which it could "
                "go on to another budget, is not there; give the budget that it had, or --from-scratch."
            )
        if changed and self.clock.progress() >= falling:
            raise UsageError(
                f"the training in {folder} was begun with a longer budget: after its {self.clock.step} steps, "
                f"{self.clock.before / 60:.1f} minutes, the learning rate would have to have fallen already; "
                "give a longer budget, or --from-scratch."
            )

    def _check(self, saved: dict[str, Any], folder: Path) -> None:
        """Raise UsageError if a checkpoint belongs to another training, or does not tell to which one it belongs."""
        if missing := [key for key in (*self._belongings, "code") if key not in saved]:
            raise UsageError(
                f"the checkpoint in {folder} lacks {', '.join(missing)}, so it may be of another training; train from "
                "scratch (--from-scratch)."
            )
        for key, now in self._belongings.items():
            if (old := saved[key]) != now:
                words = BELONGINGS[key].format(old=old, now=now)
                raise UsageError(f"the training in {folder} was begun {words}, or train from scratch (--from-scratch).")
        if changed := self._code.changed(saved["code"]):
            raise UsageError(
                f"the training in {folder} was begun with other code: since then, {', '.join(changed)} changed. "
                "Put the former code back, or train from scratch (--from-scratch)."
            )

    def _take(self, saved: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.network.load_state_dict(saved["network"])
        self.average.load(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.generator.set_state(saved["generator"].cpu())
        _set_random_states(saved["global"], self.device)
        self.clock.step, self.clock.before = saved["step"], saved["elapsed"]
        self.psnr, self.masked_steps = saved["psnr"], saved["masked_steps"]


def _random_states(device: str) -> list[torch.Tensor]:
    """Return the states of the global generators, which the dropout of a plugin's network may use."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if torch.device(device).type == "cuda" else states


def _set_random_states(states: Sequence[torch.Tensor], device: str) -> None:
    for index, state in enumerate(states):
        torch.cuda.set_rng_state(state.cpu(), device) if index else torch.set_rng_state(state.cpu())


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
