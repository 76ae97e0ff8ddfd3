"""The clock of a training, and the meter of its loss and speed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from mdnbench.training.log import TrainingProgress

if TYPE_CHECKING:
    from mdnbench.training.recipe import Recipe

PROBE_EVERY = 20  # the time outside the network is measured once in this many steps


class TrainingClock:
    """The number of steps, the training time, and how much of the budget is used up."""

    def __init__(self, recipe: Recipe, images: int) -> None:
        budget = recipe.budget
        per_epoch = (recipe.patches_per_epoch or images) / recipe.batch
        self.step, self.before = 0, 0.0
        self._steps = budget.steps or max(1, round(budget.epochs * per_epoch))
        self._limit_s = budget.minutes * 60
        self._started: float | None = None

    def start(self) -> None:
        """Start counting training time."""
        self._started = time.perf_counter()

    def elapsed(self) -> float:
        """Return the training time in seconds, including the time before an interruption."""
        return self.before + (0.0 if self._started is None else time.perf_counter() - self._started)

    def progress(self) -> float:
        """Return the fraction of the budget that is used up, 0 to 1."""
        return min(1.0, self.elapsed() / self._limit_s if self._limit_s else self.step / self._steps)


class Meter:
    """The loss, speed and fraction of time outside the network since the last report.

    The fraction is measured in one step of twenty, because reading the clock makes a GPU wait.
    """

    def __init__(self, pixels: int, clock: TrainingClock, device: str) -> None:
        self._pixels, self._clock, self._device = pixels, clock, torch.device(device)
        self._outside = self._whole = 0.0
        self._probe = 0.0
        self._loss = torch.zeros((), device=self._device)
        self.steps, self._since = 0, time.perf_counter()

    @property
    def _probing(self) -> bool:
        return self._clock.step % PROBE_EVERY == PROBE_EVERY - 1

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Count the time inside the context as spent outside the network."""
        if not self._probing:
            yield
            return
        start = self._now()
        self._probe = self._probe or start
        yield
        self._outside += self._now() - start

    def add(self, loss: torch.Tensor) -> None:
        """Count a finished step. Its loss stays on the device."""
        self._loss = self._loss + loss
        self.steps += 1
        if self._probe:
            self._whole += self._now() - self._probe
            self._probe = 0.0

    def due(self, seconds: float) -> bool:
        """Return whether the last report was at least so many seconds ago."""
        return time.perf_counter() - self._since >= seconds

    def loss(self) -> float:
        """Return the mean loss since the last report. This waits for a GPU."""
        return float(self._loss) / max(1, self.steps)

    def read(self, lr: float, psnr: float | None) -> TrainingProgress:
        """Return the progress since the last call, and start anew."""
        clock, progress, elapsed = self._clock, self._clock.progress(), self._clock.elapsed()
        standing = TrainingProgress(
            step=clock.step,
            progress=progress,
            elapsed_s=elapsed,
            remaining_s=elapsed * (1 - progress) / max(progress, 1e-9),
            lr=lr,
            loss=self.loss(),
            psnr=psnr,
            pixels_per_s=self._pixels * self.steps / (time.perf_counter() - self._since),
            outside=self._outside / self._whole if self._whole else 0.0,
        )
        self._restart()
        return standing

    def _restart(self) -> None:
        self._loss = torch.zeros((), device=self._device)
        self.steps, self._since = 0, time.perf_counter()

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
