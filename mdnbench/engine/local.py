"""The local engine: slots of one worker each, fed from a schedule; outcomes come home in batches as cells finish."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future

from mdnbench.engine.schedule import Schedule
from mdnbench.engine.slots import Slot
from mdnbench.engine.tasks import Setup, Task
from mdnbench.records import Outcome
from mdnbench.stopping import Stop

WATCH_S = 0.5
RETRIES = 5

Batch = list[tuple[Task, Outcome]]


class LocalEngine:
    """Runs tasks on this machine's cores."""

    def __init__(self, setup: Setup, jobs: int, timeout: float, memory_bytes: int = 0) -> None:
        """`jobs` is the number of workers, `timeout` in seconds per cell, `memory_bytes` per worker (0: no bound)."""
        self._new_slot = lambda: Slot(setup, timeout, memory_bytes)
        self._jobs = jobs
        self._slots: list[Slot] = []
        self._ended: queue.SimpleQueue[tuple[Slot, Future[Outcome]]] = queue.SimpleQueue()
        self._tries: Counter[int] = Counter()

    def run(self, schedule: Schedule, stop: Stop) -> Iterator[Batch]:
        """Yield what has finished, batch by batch, until nothing is left; a stop lets what runs finish first."""
        finished = False
        try:
            while self._feed(schedule, stop):
                batch = self._wait(schedule)
                if batch:
                    yield batch
            finished = True
        finally:
            for slot in self._slots:
                slot.stop(at_once=not finished)

    def running(self) -> list[Task]:
        """The task that each busy slot is at."""
        return [next(iter(slot.held.values())) for slot in self._slots if slot.held]

    def peak_bytes(self) -> int:
        """The most memory that one worker and its children have held."""
        return max((slot.peak_bytes for slot in self._slots), default=0)

    def _feed(self, schedule: Schedule, stop: Stop) -> bool:
        """Give every slot work; False when nothing is held and nothing is left."""
        if stop.requested:
            return any(slot.held for slot in self._slots)
        for slot in self._slots:
            self._fill(slot, schedule)
        while len(self._slots) < self._jobs:
            task = schedule.next_task(-1, self._busy(None))
            if task is None:
                break
            self._slots.append(self._new_slot())
            self._submit(self._slots[-1], task)
        return any(slot.held for slot in self._slots)

    def _fill(self, slot: Slot, schedule: Schedule) -> None:
        while True:
            held = next(iter(slot.held.values()), None)
            if held is not None and len(slot.held) >= schedule.depth(held):
                return
            task = schedule.next_task(slot.job, self._busy(slot))
            if task is None:
                return
            self._submit(slot, task)
            if task.job != (held.job if held else task.job):
                return

    def _submit(self, slot: Slot, task: Task) -> None:
        slot.submit(task, lambda future: self._ended.put((slot, future)))

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

    def _drain(self) -> list[tuple[Slot, Future[Outcome]]]:
        try:
            ended = [self._ended.get(timeout=WATCH_S)]
        except queue.Empty:
            return []
        while not self._ended.empty():
            ended.append(self._ended.get())
        return ended

    def _again(self, task: Task, schedule: Schedule) -> Outcome | None:
        """Hand out once more what its worker never began, unless that keeps happening."""
        self._tries[task.position] += 1
        if self._tries[task.position] > RETRIES:
            return Outcome(task.cell.output, "crashed", "the worker died before the cell began, again and again.")
        schedule.queue(task.job).give_back(task)
        return None

    _watched = 0.0

    def _watch(self) -> None:
        now = time.monotonic()
        if now - self._watched >= WATCH_S / 2:  # half, or every other look would come a moment too early
            self._watched = now
            for slot in self._slots:
                slot.watch()
