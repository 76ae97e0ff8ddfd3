"""Slots: each is one worker process that keeps its loaded model; a fault costs it one cell and a fresh process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool

import psutil
from pebble import ProcessExpired, ProcessPool

from mdnbench.engine import worker
from mdnbench.engine.tasks import Setup, Task
from mdnbench.records import Outcome


class Slot:
    """One single-worker pool, the job that its worker has loaded, and the tasks in its hands."""

    def __init__(self, setup: Setup, timeout: float, memory_bytes: int = 0) -> None:
        """`timeout` is in seconds per task; `memory_bytes` bounds the worker and its children (0: no bound)."""
        self.setup = setup
        self.timeout = timeout
        self.memory_bytes = memory_bytes
        self.job = -1
        self.held: dict[Future[Outcome], Task] = {}
        self.peak_bytes = 0
        self._over = 0
        self._context = multiprocessing.get_context("spawn")
        self._pid = self._context.Value("i", 0)
        self._groups: set[int] = set()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        arguments = (self.setup, self._pid)
        return ProcessPool(max_workers=1, context=self._context, initializer=worker.start, initargs=arguments)

    def submit(self, task: Task, done: Callable[[Future[Outcome]], None]) -> None:
        """Hand a task to the worker; `done` is called, in another thread, when it has ended somehow."""
        self.job = task.job
        if not self._pool.active:
            self._pool = self._new_pool()
        future = self._pool.schedule(worker.run, args=[task], timeout=self.timeout)
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
            return future.result()
        except FutureTimeout:
            return Outcome(key, "timeout", f"no answer within {self.timeout:g} s (--timeout); its process was ended.")
        except ProcessExpired as error:
            if self._over:
                used, self._over = self._over, 0
                return Outcome(key, "oom", f"the worker held {used / 2**30:.2f} GiB, over --memory; it was ended.")
            return Outcome(key, "crashed", _death(error.exitcode))
        except (BrokenProcessPool, CancelledError):  # the worker died between two tasks; this one had not begun
            return None
        except Exception as error:
            return Outcome(key, "failed", f"{type(error).__name__}: {error}")

    def watch(self) -> None:
        """Note the worker's memory; end it when it and its children hold more than their bound."""
        if not self._pid.value:
            return
        self._groups.add(self._pid.value)
        try:
            process = psutil.Process(self._pid.value)
            used = sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
        except psutil.Error:
            return
        self.peak_bytes = max(self.peak_bytes, used)
        if self.memory_bytes and used > self.memory_bytes and self.held:
            self._over = used
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _bury(self) -> None:
        """End what lost workers left behind: each worker leads a process group, so its children go with it."""
        for group in list(self._groups):
            if not psutil.pid_exists(group) or group != self._pid.value:
                kill_group(group)
                self._groups.discard(group)

    def stop(self, *, at_once: bool = False) -> None:
        """End the worker, at once or after what it holds, and everything that it started."""
        self.watch()
        if at_once:
            self._pool.stop()
        else:
            self._pool.close()
        with contextlib.suppress(FutureTimeout, TimeoutError, RuntimeError):
            self._pool.join(timeout=10)
        for group in self._groups:
            kill_group(group)


def kill_group(group: int) -> None:
    """End a process group, where there are such: a worker leads one, so whatever it started goes with it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):
            return f"the worker was killed by {signal.Signals(-exitcode).name}."
    return f"the worker process ended with exit code {exitcode}."
