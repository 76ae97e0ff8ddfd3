"""Which slot takes which cell: its own method's while there are any, big images first, no core idle at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mdnbench.engine.tasks import Task

LONG_S, SHORT_S = 1.0, 0.05


class JobQueue:
    """The tasks of one job, drawn lazily, and how long they take as far as is known."""

    def __init__(self, job: int, tasks: Iterator[Task], pixels: int, model: int | None = None) -> None:
        """`pixels` is the sum over all tasks: the work that is ahead. Jobs of one `model` share what is loaded."""
        self.job = job
        self.model = job if model is None else model
        self.pixels = pixels
        self._tasks = tasks
        self._next: Task | None = None
        self._returned: list[Task] = []
        self._seconds = 0.0
        self._measured = 0

    def peek(self) -> Task | None:
        """The next task, left in place, or None when there are no more."""
        if self._returned:
            return self._returned[-1]
        if self._next is None:
            self._next = next(self._tasks, None)
        return self._next

    def take(self) -> Task:
        """The next task."""
        task = self.peek()
        assert task is not None
        if self._returned:
            self._returned.pop()
        else:
            self._next = None
        self.pixels -= task.pixels
        return task

    def give_back(self, task: Task) -> None:
        """Take a task back that its worker never began."""
        self._returned.append(task)
        self.pixels += task.pixels

    def measured(self, task: Task, seconds: float) -> None:
        """Learn from a task that is done how long the others will take."""
        self._seconds += seconds
        self._measured += task.pixels

    def expected_s(self, pixels: int) -> float:
        """The seconds that so many pixels are likely to take; infinite while nothing is known."""
        return self._seconds / self._measured * pixels if self._measured else float("inf")


class Schedule:
    """All queues of a run."""

    def __init__(self, queues: Iterable[JobQueue]) -> None:
        self._queues = {queue.job: queue for queue in queues}

    def queue(self, job: int) -> JobQueue:
        """The queue of a job."""
        return self._queues[job]

    def left(self) -> bool:
        """Whether any task is still to be handed out."""
        return any(queue.peek() for queue in self._queues.values())

    def next_task(self, job: int, busy: dict[int, int]) -> Task | None:
        """The next task for a slot that has `job` loaded; `busy` counts the slots on each job, this one left out.

        Its own job comes first, then one whose model it has loaded, so that each slot loads a model once. Then a job
        whose speed is unknown and that no other slot is on, then the one with the most work ahead per slot.
        """
        own = self._queues.get(job)
        if own and own.peek():
            return own.take()
        ahead = [queue for queue in self._queues.values() if queue.peek()]
        if not ahead:
            return None
        loaded = [queue for queue in ahead if own and queue.model == own.model]
        return max(loaded or ahead, key=lambda queue: self._urgency(queue, busy.get(queue.job, 0))).take()

    def _urgency(self, queue: JobQueue, others: int) -> tuple[bool, float]:
        """Unknown and untouched jobs first, then by the seconds of work ahead for each slot that is on it."""
        seconds = queue.expected_s(queue.pixels)
        unknown = seconds == float("inf")
        return (unknown and not others, 0.0 if unknown else seconds / (1 + others))

    def depth(self, task: Task) -> int:
        """How many tasks a slot may hold at once: one where they are long, more where handing over would cost."""
        seconds = self.queue(task.job).expected_s(task.pixels)
        return 1 if seconds > LONG_S else 2 if seconds > SHORT_S else 16
