"""The loop that every engine runs: slots are fed from a schedule, and outcomes come home in batches as cells finish."""

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
from mdnbench.util.stopping import Stop

WATCH_S = 0.5

Batch = list[tuple[Task, Outcome]]


class Slot(Protocol):
    """A place that computes one cell at a time: a worker process of this machine, or a Dask worker somewhere.

    `job` is the job whose model it has loaded, `held` the tasks in its hands, `ahead` how many times as many of them
    as on this machine are worth holding, because a hand-over takes longer, and `gone` whether it takes no more.
    """

    job: int
    held: dict[Future[Any], Task]
    peak_bytes: int
    ahead: int

    @property
    def gone(self) -> bool:
        """Whether it is lost: it takes no more tasks, and those in its hands come back."""

    def submit(self, tasks: Sequence[Task], done: Callable[[Future[Any]], None]) -> None:
        """Take tasks; `done` is called, in another thread, as each of them has ended somehow."""

    def collect(self, future: Future[Any]) -> tuple[Task, Outcome | None]:
        """The task of a future that has ended and what came of it, or None where it must be handed out again."""

    def watch(self) -> None:
        """Look after what it does; called about twice a second."""

    def stop(self, *, at_once: bool = False) -> None:
        """End it, at once or after what it holds."""


class Engine(ABC):
    """Runs tasks in slots. What a slot is, and how many there are, is each engine's own."""

    retries = 5
    lost = "the worker died before the cell began, again and again."

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self._ended: queue.SimpleQueue[tuple[Slot, Future[Any]]] = queue.SimpleQueue()
        self._tries: Counter[int] = Counter()
        self._watched = 0.0
        self._at: dict[int, tuple[Task, float]] = {}  # by slot: the task that it was seen at, and since when

    @abstractmethod
    def _room(self) -> bool:
        """Whether there can be one more slot now."""

    @abstractmethod
    def _recruit(self) -> Slot:
        """One more slot."""

    def machines(self) -> Mapping[str, Environment]:
        """What is known of the machines that cells ran on, by their id; empty where that is this one alone."""
        return {}

    def run(self, schedule: Schedule, stop: Stop) -> Generator[Batch, None, None]:
        """Yield what has finished, batch by batch, until nothing is left; a stop lets what runs finish first.

        A batch is empty if nothing has finished for half a second, so that whoever waits can say what for.
        """
        finished = False
        try:
            yield from self.work(schedule, stop)
            finished = True
        finally:
            self.close(at_once=not finished)

    def work(self, schedule: Schedule, stop: Stop) -> Generator[Batch, None, None]:
        """As `run`, but the slots stay, with the models that they have loaded."""
        while self._feed(schedule, stop):
            yield self._wait(schedule)

    def close(self, *, at_once: bool = False) -> None:
        """End all slots, at once or after what they hold."""
        for slot in self._slots:
            slot.stop(at_once=at_once)

    def running(self) -> list[tuple[Task, float]]:
        """Return the task that each busy slot works on, and for how many seconds it has been seen at it."""
        now, found = time.monotonic(), []
        for slot in self._slots:
            task = next(iter(slot.held.values()), None)
            if task is not None:
                known, since = self._at.get(id(slot), (None, now))
                self._at[id(slot)] = (task, since if known is task else now)
                found.append((task, now - self._at[id(slot)][1]))
        return found

    def peak_bytes(self) -> int:
        """The most memory that one worker and its children have held."""
        return max((slot.peak_bytes for slot in self._slots), default=0)

    def _feed(self, schedule: Schedule, stop: Stop) -> bool:
        """Give every slot work; False when nothing is held and nothing is left."""
        if stop.requested:
            return any(slot.held for slot in self._slots)
        for slot in self._slots:
            if not slot.gone:
                self._fill(slot, schedule)
        while self._room():
            task = schedule.next_task(-1, self._busy(None))
            if task is None:
                break
            self._slots.append(self._recruit())
            self._submit(self._slots[-1], [task])
        return any(slot.held for slot in self._slots) or schedule.left()

    def _fill(self, slot: Slot, schedule: Schedule) -> None:
        """Hand a slot as many tasks as it should hold."""
        held, job, first, fresh = len(slot.held), slot.job, next(iter(slot.held.values()), None), list[Task]()
        while first is None or held + len(fresh) < self._depth(slot, first, schedule):
            task = schedule.next_task(job, self._busy(slot))
            if task is None:
                break
            job = task.job
            if self._tries[task.position]:  # what lost a worker before goes alone, and last
                self._submit(slot, fresh)
                fresh = [task]
                break
            fresh.append(task)
            first = first or task
            if task.job != first.job:
                break
        self._submit(slot, fresh)

    def _depth(self, slot: Slot, task: Task, schedule: Schedule) -> int:
        """How many tasks a slot should hold that is at this one."""
        depth = 1 if self._tries[task.position] else schedule.depth(task)
        return depth * slot.ahead if depth > 1 else 1

    def _submit(self, slot: Slot, tasks: Sequence[Task]) -> None:
        if tasks:
            slot.submit(tasks, lambda future: self._ended.put((slot, future)))

    def _busy(self, me: Slot | None) -> dict[int, int]:
        return Counter(slot.job for slot in self._slots if slot is not me and slot.held)

    def _wait(self, schedule: Schedule) -> Batch:
        """What ends within a moment; meanwhile memory is watched."""
        ended = self._drain()
        batch: Batch = []
        for slot, future in ended:
            task, outcome = slot.collect(future)
            if outcome is None:
                outcome = self._again(task, schedule)
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

    def _again(self, task: Task, schedule: Schedule) -> Outcome | None:
        """Hand out once more what was lost with its worker, unless that keeps happening."""
        self._tries[task.position] += 1
        if self._tries[task.position] > self.retries:
            return Outcome(task.cell.output, "crashed", self.lost)
        schedule.queue(task.job).give_back(task)
        return None

    def _watch(self) -> None:
        now = time.monotonic()
        if now - self._watched >= WATCH_S / 2:  # half, or every other look would come a moment too early
            self._watched = now
            self._look()

    def _look(self) -> None:
        """Look after the slots."""
        for slot in self._slots:
            slot.watch()
