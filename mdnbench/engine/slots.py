"""Slots of this machine: each is one worker process that keeps its model; a fault costs one cell and a new process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Literal

import psutil
from pebble import ProcessExpired, ProcessPool

from mdnbench.engine import family, spawning, worker
from mdnbench.engine.pulse import Pulse
from mdnbench.engine.tasks import Setup, Task
from mdnbench.records import Outcome


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the watcher found of a worker: its process, the position of its cell, and what that cell comes to."""

    pid: int
    position: int
    status: Literal["timeout", "oom", "crashed"]
    reason: str


class ProcessSlot:
    """One single-worker pool, the job that its worker has loaded, and the tasks in its hands."""

    ahead = 1
    gone = False

    def __init__(self, setup: Setup, timeout: float, memory_bytes: int = 0) -> None:
        """`timeout` is in seconds per task; `memory_bytes` bounds the worker and its children (0: no bound)."""
        self.setup = setup
        self.timeout = timeout
        self.memory_bytes = memory_bytes
        self.job = -1
        self.held: dict[Future[Outcome], Task] = {}
        self.peak_bytes = 0
        self._verdict: _Verdict | None = None
        self._expired = 0
        self._context = spawning.Context()
        self._pulse = Pulse(self._context)
        self._workers: set[int] = set()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        arguments = (self.setup, self._pulse)
        return ProcessPool(max_workers=1, context=self._context, initializer=worker.start, initargs=arguments)

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function gives in the worker; whatever it raises is raised here."""
        return self._pool.schedule(function, args=arguments).result()

    def submit(self, tasks: Sequence[Task], done: Callable[[Future[Outcome]], None]) -> None:
        """Hand tasks to the worker; `done` is called, in another thread, as each of them has ended somehow."""
        for task in tasks:
            self.job = task.job
            if not self._pool.active:
                self._pool = self._new_pool()
            future = self._pool.schedule(worker.run, args=[task])  # no timeout: Pebble's follows the time of day
            self.held[future] = task
            future.add_done_callback(done)

    def collect(self, future: Future[Outcome]) -> tuple[Task, Outcome | None]:
        """The task of a future that has ended and what came of it, or None where it must be handed out again."""
        task = self.held.pop(future)
        outcome = self._outcome(task, future)
        if outcome is None or outcome.status in ("timeout", "crashed", "oom"):
            self._bury()
        return task, outcome

    def _outcome(self, task: Task, future: Future[Outcome]) -> Outcome | None:
        key = task.cell.output
        try:
            outcome = future.result()
        except ProcessExpired as error:
            self._expired = error.pid
            if self._verdict is None or self._verdict.pid != error.pid:
                return Outcome(key, "crashed", _death(error.exitcode))
            return self._judged(task)
        except (BrokenProcessPool, CancelledError):  # the worker died between two tasks; this one had not begun
            return self._judged(task)
        except Exception as error:
            return Outcome(key, "failed", f"{type(error).__name__}: {error}")
        if outcome.status == "oom":
            self._renew(task)
        return outcome

    def _renew(self, task: Task) -> None:
        """End a worker that ran out of memory: its next cell begins in a clean process."""
        self._verdict = _Verdict(self._pulse.pid, task.position, "oom", "")
        family.end(self._pulse.pid)

    def _judged(self, task: Task) -> Outcome | None:
        """What the watcher found of a task; None for a bystander, which did nothing wrong and begins again."""
        found = self._verdict
        if found is None or found.position != task.position:
            return None
        return Outcome(task.cell.output, found.status, found.reason)

    def watch(self) -> None:
        """Note the worker's memory; end it when its cell takes too long, or when it and its children hold too much."""
        self._find_lost()
        pid, position = self._pulse.pid, self._pulse.position
        if not pid:
            return
        self._workers.add(pid)
        used = family.held_bytes(pid)
        self.peak_bytes = max(self.peak_bytes, used)
        if position is None or pid == self._expired or (self._verdict and pid == self._verdict.pid):
            return
        if self._pulse.seconds > self.timeout:
            reason = f"no answer within {self.timeout:g} s (--timeout); its process was ended."
            self._verdict = _Verdict(pid, position, "timeout", reason)
        elif self.memory_bytes and used > self.memory_bytes:
            reason = f"the worker held {used / 2**30:.2f} GiB, over --memory; it was ended."
            self._verdict = _Verdict(pid, position, "oom", reason)
        else:
            return
        family.end(pid)

    def _find_lost(self) -> None:
        """Give up the cell of a worker that ended itself with exit code 0, which Pebble takes for a good end."""
        pid, position = self._pulse.dead
        for future, task in list(self.held.items()):
            if task.position == position and pid != self._expired and not future.done():
                self._expired, self._verdict = pid, _Verdict(pid, position, "crashed", _death(0))
                future.cancel()

    def _bury(self) -> None:
        """End what lost workers left behind."""
        for pid in list(self._workers):
            if pid != self._pulse.pid or not psutil.pid_exists(pid):
                family.end_group(pid)
                self._workers.discard(pid)

    def stop(self, *, at_once: bool = False) -> None:
        """End the worker, at once or after what it holds, and everything that it started."""
        self.watch()
        if at_once:
            self._pool.stop()
            for pid in self._workers:  # now, for whoever ends this process too may not wait for the pool
                family.end(pid)
        else:
            self._pool.close()
        with contextlib.suppress(FutureTimeout, TimeoutError, RuntimeError):
            self._pool.join(timeout=10)
        for pid in self._workers:
            family.end_group(pid)


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):
            return f"the worker was killed by {signal.Signals(-exitcode).name}."
    return f"the worker process ended with exit code {exitcode}."
