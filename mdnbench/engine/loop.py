"""The loop of all engines: it feeds slots from a schedule, and yields outcomes in batches as cells finish."""

from __future__ import annotations

import queue
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from mdnbench.engine.schedule import Schedule
from mdnbench.engine.tasks import Task
from mdnbench.spec.records import Environment, Outcome
from mdnbench.util.interrupts import Stop

WATCH_S = 0.5

FinishedTasks = list[tuple[Task, Outcome]]


class Slot(Protocol):
    """A place that computes one cell at a time: a worker process on this machine, or a Dask worker.

    Attributes:
        job: The job whose model the slot has loaded; -1 if none.
        held: The tasks that the slot has not finished, by their futures.
        peak_bytes: The most memory that a worker and its children have held.
        ahead: A factor on the number of tasks that the slot holds, because passing tasks to it can take longer.
    """

    job: int
    held: dict[Future[Any], Task]
    peak_bytes: int
    ahead: int

    @property
    def gone(self) -> bool:
        """Return whether the slot is lost. A lost slot takes no more tasks, and returns those that it holds."""

    @property
    def refused(self) -> str:
        """Return why the results of a lost slot do not count here; '' if they do."""

    def submit(self, tasks: Sequence[Task], done: Callable[[Future[Any]], None]) -> None:
        """Take tasks.

        Args:
            tasks: The tasks to compute.
            done: Called with the future of each task when it has ended for any reason, in another thread.
        """

    def collect(self, future: Future[Any]) -> tuple[Task, Outcome | None]:
        """Return the task and the outcome of a future that has ended.

        The outcome is None if another slot must compute the task.
        """

    def watch(self) -> None:
        """Check the slot's worker. The engine calls this about twice a second."""

    def stop(self, *, at_once: bool = False) -> None:
        """End the slot, either at once or after the tasks that it holds."""


class Engine(ABC):
    """A way to compute tasks in slots. Each engine decides what a slot is and how many there are.

    Attributes:
        retries: How often a task is tried again after its worker was lost.
        lost: The reason that is stored for a task after the last retry.
    """

    retries = 5
    lost = "the worker died before the cell began, again and again."

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self._ended: queue.SimpleQueue[tuple[Slot, Future[Any]]] = queue.SimpleQueue()
        self._tries: Counter[int] = Counter()
        self._watched = 0.0
        self._at: dict[int, tuple[Task, float]] = {}  # by slot: the task that it works on, and since when

    @abstractmethod
    def _has_capacity(self) -> bool:
        """Return whether one more slot can be started now."""

    @abstractmethod
    def _new_slot(self) -> Slot:
        """Start and return one more slot."""

    def machines(self) -> Mapping[str, Environment]:
        """Return what is known about the machines that computed cells, by machine id; empty if it was only this one."""
        return {}

    def run(self, schedule: Schedule, stop: Stop) -> Generator[FinishedTasks, None, None]:
        """Yield batches of finished tasks until nothing is left, then end all slots.

        A batch is empty if nothing has finished for half a second. The caller can then report what it is waiting for.

        Args:
            schedule: The tasks to compute.
            stop: A request to stop; the tasks that slots hold are finished first.
        """
        finished = False
        try:
            yield from self.work(schedule, stop)
            finished = True
        finally:
            self.close(at_once=not finished)

    def work(self, schedule: Schedule, stop: Stop) -> Generator[FinishedTasks, None, None]:
        """Yield batches as `run` does, but keep the slots and the models that they have loaded."""
        while self._feed(schedule, stop):
            yield self._wait(schedule)

    def close(self, *, at_once: bool = False) -> None:
        """End all slots, either at once or after the tasks that they hold."""
        for slot in self._slots:
            slot.stop(at_once=at_once)

    def running(self) -> list[tuple[Task, float]]:
        """Return the task that each busy slot works on, and for how many seconds it has been seen doing so."""
        now, found = time.monotonic(), []
        for slot in self._slots:
            task = next(iter(slot.held.values()), None)
            if task is not None:
                known, since = self._at.get(id(slot), (None, now))
                self._at[id(slot)] = (task, since if known is task else now)
                found.append((task, now - self._at[id(slot)][1]))
        return found

    def peak_bytes(self) -> int:
        """Return the most memory in bytes that one worker and its children have held."""
        return max((slot.peak_bytes for slot in self._slots), default=0)

    def _feed(self, schedule: Schedule, stop: Stop) -> bool:
        """Give every slot tasks. Return False when no slot holds a task and none is left."""
        if stop.requested:
            return any(slot.held for slot in self._slots)
        for slot in self._slots:
            if not slot.gone:
                self._fill(slot, schedule)
        while self._has_capacity():
            task = schedule.next_task(-1, self._busy(None))
            if task is None:
                break
            self._slots.append(self._new_slot())
            self._submit(self._slots[-1], [task])
        return any(slot.held for slot in self._slots) or schedule.left()

    def _fill(self, slot: Slot, schedule: Schedule) -> None:
        """Give a slot as many tasks as it should hold."""
        held, job, first, fresh = len(slot.held), slot.job, next(iter(slot.held.values()), None), list[Task]()
        while first is None or held + len(fresh) < self._depth(slot, first, schedule):
            task = schedule.next_task(job, self._busy(slot))
            if task is None:
                break
            job = task.job
            if self._tries[task.position]:  # a task whose worker was lost before is submitted alone and last
                self._submit(slot, fresh)
                fresh = [task]
                break
            fresh.append(task)
            first = first or task
            if task.job != first.job:
                break
        self._submit(slot, fresh)

    def _depth(self, slot: Slot, task: Task, schedule: Schedule) -> int:
        """Return how many tasks a slot should hold when it works on this one."""
        depth = 1 if self._tries[task.position] else schedule.depth(task)
        return depth * slot.ahead if depth > 1 else 1

    def _submit(self, slot: Slot, tasks: Sequence[Task]) -> None:
        if tasks:
            slot.submit(tasks, lambda future: self._ended.put((slot, future)))

    def _busy(self, me: Slot | None) -> dict[int, int]:
        return Counter(slot.job for slot in self._slots if slot is not me and slot.held)

    def _wait(self, schedule: Schedule) -> FinishedTasks:
        """Return what finishes within a moment, and watch the workers' memory."""
        ended = self._drain()
        batch: FinishedTasks = []
        for slot, future in ended:
            task, outcome = slot.collect(future)
            if outcome is None:
                outcome = self._again(slot, task, schedule)
            if outcome is not None:
                batch.append((task, outcome))
                if outcome.seconds is not None:
                    schedule.queue(task.job).measured(task, outcome.seconds)
        self._watch()
        return batch

    def _drain(self) -> list[tuple[Slot, Future[Any]]]:
        try:
            ended = [self._ended.get(timeout=WATCH_S)]
        except queue.Empty:
            return []
        while not self._ended.empty():
            ended.append(self._ended.get())
        return ended

    def _again(self, slot: Slot, task: Task, schedule: Schedule) -> Outcome | None:
        """Return a task to its queue after its worker was lost.

        Return a crashed outcome if this has happened too often, not counting workers that were refused.
        """
        self._tries[task.position] += not slot.refused
        if self._tries[task.position] > self.retries:
            return Outcome(task.cell.output, "crashed", self.lost)
        schedule.queue(task.job).give_back(task)
        return None

    def _watch(self) -> None:
        now = time.monotonic()
        if now - self._watched >= WATCH_S / 2:  # half of it, or every other call would come just too early
            self._watched = now
            self._watch_slots()

    def _watch_slots(self) -> None:
        """Check all slots."""
        for slot in self._slots:
            slot.watch()
