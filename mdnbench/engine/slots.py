"""Slots of this machine: each is one bench process with the process of one method; a fault costs one cell."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeAlias

from mdnbench.engine import family, launching
from mdnbench.engine.launching import Process
from mdnbench.engine.orders import OrderFailed, ProcessEnded, ProcessLate
from mdnbench.engine.tasks import Result, Setup, Task
from mdnbench.errors import MdnbenchError
from mdnbench.spec.records import Outcome, Used

TRIES = 2
BENCH = "mdnbench.engine.bench:serve"
GIVEN = 2  # tasks in a bench's hands: this process may be busy with the store when the first of them is done
PATIENCE_S = 3 * launching.START_S  # beyond --timeout, for starting what a cell needs; then nothing is waited for
MARGIN_S = 10.0  # a bench ends what takes too long by itself; one that is itself stuck is ended so much later


_Given: TypeAlias = "tuple[Task, Future[Outcome | None]]"


class Ended(Exception):
    """The slot was ended with tasks in its hands."""


class LocalSlot:
    """One bench process, the job that it is at, and the tasks in its hands, which a thread hands over one by one."""

    ahead = 1
    gone = False

    def __init__(self, setup: Setup) -> None:
        self.job = -1
        self.held: dict[Future[Outcome | None], Task] = {}
        self.peak_bytes = 0
        self._setup = setup
        self._bench: Process | None = None
        self._used: dict[int, Used] = {}
        self._tasks: queue.SimpleQueue[tuple[Task, Future[Outcome | None]] | None] = queue.SimpleQueue()
        self._stopped = False
        self._heard = time.monotonic()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, tasks: Sequence[Task], done: Callable[[Future[Any]], None]) -> None:
        """Take tasks; `done` is called, in another thread, as each of them has ended somehow."""
        if not self.held:
            self._heard = time.monotonic()
        for task in tasks:
            self.job = task.job
            future: Future[Outcome | None] = Future()
            self.held[future] = task
            future.add_done_callback(done)
            self._tasks.put((task, future))

    def collect(self, future: Future[Outcome | None]) -> tuple[Task, Outcome | None]:
        """Return the task of a future that has ended and what came of it, or None if it must be handed out again.

        What the system itself refuses, as another process, is raised.
        """
        return self.held.pop(future), future.result()

    def watch(self) -> None:
        """MdnbenchError if nothing was heard of the bench for longer than anything may take; the thread watches it."""
        silent = time.monotonic() - self._heard
        if self.held and silent > self._setup.timeout + PATIENCE_S:
            cell = next(iter(self.held.values())).cell
            raise MdnbenchError(
                f"nothing moves: {cell.method} on {cell.image} has been at work for {silent:.0f} s, longer than "
                f"--timeout {self._setup.timeout:g} allows. What was finished is saved; the same command goes on from "
                "there."
            )

    def stop(self, *, at_once: bool = False) -> None:
        """End the bench and everything that it started, at once or after what it holds."""
        if at_once:
            self._stopped = True
            self._end_bench()
        self._tasks.put(None)
        self._thread.join(10)
        self._end_bench()

    # -- in the thread -------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Keep the bench busy: while it computes one task, the next one waits in its hands."""
        given: deque[_Given] = deque()
        more = True
        while more or given:
            while more and len(given) < GIVEN:
                try:
                    taken = self._tasks.get(block=not given)
                except queue.Empty:
                    break
                if taken is None:
                    more = False
                    break
                self._give(*taken, given)
            if given:
                self._settle(given)

    def _give(self, task: Task, future: Future[Outcome | None], given: deque[_Given]) -> None:
        """Put a task into the bench's hands."""
        if self._stopped:
            future.set_result(None)
            return
        try:
            bench = self._ready_bench()
            with contextlib.suppress(ProcessEnded):  # its answer will say so
                bench.give("run", task)
            given.append((task, future))
        except BaseException as error:
            future.set_exception(error)

    def _settle(self, given: deque[_Given]) -> None:
        """Wait for the task that the bench is at; if the bench is lost, those behind it must be handed out again."""
        task, future = given.popleft()
        bench = self._bench
        self._heard = time.monotonic()
        try:
            future.set_result(self._outcome(task, bench) if bench else None)
        except BaseException as error:
            future.set_exception(error)
        if self._bench is not bench or self._stopped:
            while given:
                given.popleft()[1].set_result(None)

    def _outcome(self, task: Task, bench: Process) -> Outcome | None:
        key, since = task.cell.output, time.monotonic()

        def watch() -> None:
            self.peak_bytes = max(self.peak_bytes, family.held_bytes(bench.pid))

        try:
            result: Result = bench.answer(self._setup.timeout + MARGIN_S, watch)
        except ProcessLate:
            self._end_bench()
            reason = f"no answer within {self._setup.timeout:g} s (--timeout), in scoring; its process was ended."
            return Outcome(key, "timeout", reason)
        except ProcessEnded:
            if self._stopped:
                return None
            reason = bench.how_it_ended()
            self._end_bench()
            return Outcome(
                key, "crashed", f"the process that scores ended after {time.monotonic() - since:.1f} s: {reason}"
            )
        self.peak_bytes = max(self.peak_bytes, result.peak_bytes)
        if result.used is not None:
            self._used[task.job] = result.used
        return replace(result.outcome, used=self._used.get(task.job, {}))

    def _ready_bench(self) -> Process:
        with self._changing:
            if self._stopped:
                raise Ended
            if self._bench is None:
                self._used.clear()
                self._bench = self._launch()
            return self._bench

    def _launch(self) -> Process:
        """Start a bench that takes orders; MdnbenchError, with the reason, if that cannot be had."""
        for tries_left in reversed(range(TRIES)):  # a plugin may have killed the server, or the system a process
            try:
                bench = launching.shared().launch(BENCH, self._setup, launches=True)
            except MdnbenchError:
                if not tries_left:
                    raise
                continue
            try:
                bench.ask("ready", within_s=launching.START_S)
                return bench
            except OrderFailed as error:
                bench.end()
                raise MdnbenchError(f"no worker process can begin: {error.failure}.") from None
            except (ProcessEnded, ProcessLate) as error:
                reason = bench.how_it_ended(str(error) or f"it was not ready within {launching.START_S:g} s")
        raise MdnbenchError(f"no worker process can begin: {reason} What it said stands above.")

    def _end_bench(self) -> None:
        with self._changing:
            bench, self._bench = self._bench, None
        if bench is not None:
            bench.end()
