"""The order of cells: a slot prefers the method that it has loaded, big images come first, no core idles at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mdnbench.engine.tasks import Task

LONG_S, SHORT_S = 1.0, 0.05


class JobQueue:
    """The tasks of one job, read lazily, and how long they are expected to take."""

    def __init__(self, job: int, tasks: Iterator[Task], pixels: int, model: int | None = None) -> None:
        """Make a queue.

        Args:
            job: The index of the job.
            tasks: The tasks.
            pixels: The sum of pixels over all tasks, which measures the remaining work.
            model: A number that jobs with the same loaded model share; by default that of the job.
        """
        self.job = job
        self.model = job if model is None else model
        self.pixels = pixels
        self._tasks = tasks
        self._next: Task | None = None
        self._returned: list[Task] = []
        self._seconds = 0.0
        self._measured = 0

    def peek(self) -> Task | None:
        """Return the next task without removing it, or None when there are no more."""
        if self._returned:
            return self._returned[-1]
        if self._next is None:
            self._next = next(self._tasks, None)
        return self._next

    def take(self) -> Task:
        """Remove and return the next task."""
        task = self.peek()
        assert task is not None
        if self._returned:
            self._returned.pop()
        else:
            self._next = None
        self.pixels -= task.pixels
        return task

    def give_back(self, task: Task) -> None:
        """Take back a task that its worker did not start."""
        self._returned.append(task)
        self.pixels += task.pixels

    def clear(self) -> None:
        """Remove all tasks, because their job is not to be computed any more."""
        self._tasks, self._next, self.pixels = iter(()), None, 0
        self._returned.clear()

    def measured(self, task: Task, seconds: float) -> None:
        """Note how long a finished task took, to estimate the time of the others."""
        self._seconds += seconds
        self._measured += task.pixels

    def expected_s(self, pixels: int) -> float:
        """Return the expected time in seconds for so many pixels; infinite if no task was measured yet."""
        return self._seconds / self._measured * pixels if self._measured else float("inf")


class Schedule:
    """All queues of a run."""

    def __init__(self, queues: Iterable[JobQueue]) -> None:
        self._queues = {queue.job: queue for queue in queues}

    def queue(self, job: int) -> JobQueue:
        """Return the queue of a job."""
        return self._queues[job]

    def left(self) -> bool:
        """Return whether any task is left."""
        return any(queue.peek() for queue in self._queues.values())

    def next_task(self, job: int, busy: dict[int, int]) -> Task | None:
        """Remove and return the next task for a slot, or None if there are no more.

        The slot's own job comes first, then a job with the same model, because each slot should load a model only once.
        Then comes a job whose speed is unknown and that no other slot works on, then the job with the most remaining
        work per slot.

        Args:
            job: The job whose model the slot has loaded; -1 if none.
            busy: How many other slots work on each job.
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
        """Return a sort key: unmeasured jobs without a slot come first, then jobs by the remaining seconds per slot."""
        seconds = queue.expected_s(queue.pixels)
        unknown = seconds == float("inf")
        return (unknown and not others, 0.0 if unknown else seconds / (1 + others))

    def depth(self, task: Task) -> int:
        """Return how many tasks a slot may hold at once: one if they take long, more if passing them costs time."""
        seconds = self.queue(task.job).expected_s(task.pixels)
        return 1 if seconds > LONG_S else 2 if seconds > SHORT_S else 16
