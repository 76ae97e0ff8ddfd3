"""The slots of this machine: each has a bench process and the process of one method. A fault costs one cell."""

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

from mdnbench.engine import launcher, process_tree
from mdnbench.engine.launcher import OrderProcess
from mdnbench.engine.orders import OrderFailed, ProcessEnded, ProcessLate
from mdnbench.engine.tasks import Result, Setup, Task
from mdnbench.errors import MdnbenchError
from mdnbench.spec.records import Outcome, Used
from mdnbench.util.limits import HANGING_BENCH_S, PROCESS_START_S, SILENT_BENCH_S

TRIES = 2
BENCH = "mdnbench.engine.bench:serve"
GIVEN = 2  # tasks that a bench holds: this process may be busy with the store when the first one is done


_Submitted: TypeAlias = "tuple[Task, Future[Outcome | None]]"


class Ended(Exception):
    """The slot was stopped before its tasks were done."""


class LocalSlot:
    """One bench process, the job that it works on, and the tasks that it holds.

    A thread passes the tasks one by one.
    """

    ahead = 1
    gone = False
    refused = ""

    def __init__(self, setup: Setup) -> None:
        self.job = -1
        self.held: dict[Future[Outcome | None], Task] = {}
        self.peak_bytes = 0
        self._setup = setup
        self._bench: OrderProcess | None = None
        self._used: dict[int, Used] = {}
        self._tasks: queue.SimpleQueue[tuple[Task, Future[Outcome | None]] | None] = queue.SimpleQueue()
        self._stopped = False
        self._heard = time.monotonic()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, tasks: Sequence[Task], done: Callable[[Future[Any]], None]) -> None:
        """Take tasks.

        Args:
            tasks: The tasks to compute.
            done: Called with the future of each task when it has ended for any reason, in another thread.
        """
        if not self.held:
            self._heard = time.monotonic()
        for task in tasks:
            self.job = task.job
            future: Future[Outcome | None] = Future()
            self.held[future] = task
            future.add_done_callback(done)
            self._tasks.put((task, future))

    def collect(self, future: Future[Outcome | None]) -> tuple[Task, Outcome | None]:
        """Return the task and the outcome of a future that has ended.

        The outcome is None if another slot must compute the task.

        Raises:
            MdnbenchError: The system refuses something, such as another process.
        """
        return self.held.pop(future), future.result()

    def watch(self) -> None:
        """Check that the bench still makes progress. The thread itself watches the memory.

        Raises:
            MdnbenchError: Nothing has happened for longer than anything may take.
        """
        silent = time.monotonic() - self._heard
        if self.held and silent > self._setup.longest_s(self.job) + SILENT_BENCH_S:
            cell = next(iter(self.held.values())).cell
            raise MdnbenchError(
                f"nothing moves: {cell.method} on {cell.image} has been at work for {silent:.0f} s, longer than "
                f"--timeout {self._setup.timeout:g} allows. What was finished is saved; the same command goes on from "
                "there."
            )

    def stop(self, *, at_once: bool = False) -> None:
        """End the bench and its descendants, either at once or after the tasks that it holds."""
        if at_once:
            self._stopped = True
            self._end_bench()
        self._tasks.put(None)
        self._thread.join(10)
        self._end_bench()

    # -- in the thread -------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Keep the bench busy: while it computes one task, it already holds the next one."""
        given: deque[_Submitted] = deque()
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

    def _give(self, task: Task, future: Future[Outcome | None], given: deque[_Submitted]) -> None:
        """Send a task to the bench."""
        if self._stopped:
            future.set_result(None)
            return
        try:
            bench = self._ready_bench()
            with contextlib.suppress(ProcessEnded):  # reading its answer will raise this too
                bench.give("run", task)
            given.append((task, future))
        except BaseException as error:
            future.set_exception(error)

    def _settle(self, given: deque[_Submitted]) -> None:
        """Wait for the task that the bench computes. If the bench is lost, return its other tasks for another slot."""
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

    def _outcome(self, task: Task, bench: OrderProcess) -> Outcome | None:
        key, since = task.cell.output, time.monotonic()

        def watch() -> None:
            self.peak_bytes = max(self.peak_bytes, process_tree.held_bytes(bench.pid))

        try:
            result: Result = bench.answer(self._setup.longest_s(task.job) + HANGING_BENCH_S, watch)
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

    def _ready_bench(self) -> OrderProcess:
        with self._changing:
            if self._stopped:
                raise Ended
            if self._bench is None:
                self._used.clear()
                self._bench = self._launch()
            return self._bench

    def _launch(self) -> OrderProcess:
        """Start a bench and wait until it takes orders. Raise MdnbenchError with the reason if that fails."""
        for tries_left in reversed(range(TRIES)):  # the server, or a process, may have been killed
            try:
                bench = launcher.shared().launch(BENCH, self._setup, launches=True)
            except MdnbenchError:
                if not tries_left:
                    raise
                continue
            try:
                bench.ask("ready", within_s=PROCESS_START_S)
                return bench
            except OrderFailed as error:
                bench.end()
                raise MdnbenchError(f"no worker process can begin: {error.failure}.") from None
            except (ProcessEnded, ProcessLate) as error:
                reason = bench.how_it_ended(str(error) or f"it was not ready within {PROCESS_START_S:g} s")
        raise MdnbenchError(f"no worker process can start: {reason} Its messages are above.")

    def _end_bench(self) -> None:
        with self._changing:
            bench, self._bench = self._bench, None
        if bench is not None:
            bench.end()
