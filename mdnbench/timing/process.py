"""A timing process as the timing phase sees it: one method that executes orders, and its measurements so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mdnbench.engine.launcher import OrderProcess, SpawnLauncher
from mdnbench.engine.method import Settings
from mdnbench.engine.orders import OrderFailed, ProcessEnded, ProcessLate
from mdnbench.engine.tasks import Job, Task
from mdnbench.spec.timings import LATE, NO_TIME, SelfTests
from mdnbench.timing.answers import FirstCall, OutputComparison, TimedCall

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo, UsedFile
    from mdnbench.spec.specs import Image

ONLY_FIRST = "there was time for its first call alone"
BUSY = "the machine was busy"
USED_S = 10.0
ONE_ROUND_S = 30.0  # if the first call takes longer, it is the only round


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """The times and sizes of a method while it was loaded and first called on an image of one size.

    Attributes:
        load_s: The seconds of loading.
        first_call_s: The seconds of the first call.
        memory_bytes: The memory of the process, in addition to what it held before loading.
        parameters: How many numbers the weights file holds; None without weights.
        device_bytes: The memory on the GPU; None without a GPU.
        multiply_adds: Multiply-adds per pixel; None if they were not counted.
        file_bytes: The size of the file from which the method computes; None without one.
        again_s: The seconds of the second call if the first had to compile the method; None otherwise.
        waited_s: The seconds in which the process waited for a processor, in the second call if there was one, else in
            the first.

    """

    load_s: float
    first_call_s: float
    memory_bytes: int
    parameters: int | None
    device_bytes: int | None = None
    multiply_adds: float | None = None
    file_bytes: int | None = None
    again_s: float | None = None
    waited_s: float = 0.0

    @property
    def call_s(self) -> float:
        """The seconds of the first call that did not have to compile the method."""
        return self.first_call_s if self.again_s is None else self.again_s


@dataclass
class MethodTiming:
    """The measurements of one method at one size on a number of threads.

    Attributes:
        method: The method, as its canonical text.
        loaded: The times of loading and of the first call; None if there was no first call.
        seconds: The seconds of each counted call.
        problem: The reason why there is no result, or why there are no more calls.
        side: The side of the image, in pixels.
        threads: The number of threads.
        device_seconds: The seconds of each counted call by the GPU's clock.
        warmups: How many calls were made before the counted ones.
        warm: Whether the last two of these calls took equally long.
        self_tests: The results of the self-tests.
        used: The files that the method's process used.
        waits: The seconds in which each counted call waited for a processor.
        unfinished: The reason why the timing is not finished although the method works, '' if it is finished.

    """

    method: str
    loaded: LoadTimes | None = None
    seconds: list[float] = field(default_factory=list)
    problem: str = ""
    side: int = 256
    threads: int = 1
    device_seconds: list[float] = field(default_factory=list)
    warmups: int = 0
    warm: bool = False
    self_tests: SelfTests | None = None
    used: tuple[UsedFile, ...] = ()
    waits: list[float] = field(default_factory=list)
    unfinished: str = ""

    @property
    def expected_s(self) -> float:
        """The seconds that the next call is likely to take."""
        return min(self.seconds) if self.seconds else self.loaded.call_s if self.loaded else 0.0


@dataclass(frozen=True)
class SelfTestCell:
    """A cell on which a timed call's output is compared: the task, its noisy image, and the noise information."""

    task: Task
    noisy: Image
    info: NoiseInfo


@dataclass(frozen=True)
class TimingSubject:
    """The jobs that a timing phase times, with their device and images.

    Attributes:
        jobs: The jobs.
        device: The device on which they are timed.
        images: The noisy image and its noise information, by the side of the image.
        trials: The cells on which outputs are compared, one per job.
        stored: The digests of the stored outputs of these cells, one per job; '' if there is none.
        revisions: The revisions of the plan, by kind and name.

    """

    jobs: tuple[Job, ...]
    device: str
    images: Mapping[int, tuple[Image, NoiseInfo]]
    trials: Sequence[SelfTestCell] = ()
    stored: Sequence[str] = ()
    revisions: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class TimingProcess:
    """One method in a process of its own. If it fails or runs out of time, it is ended and executes no more orders.

    Attributes:
        method: The method, as its canonical text.
        threads: The number of threads.
        process: The process.
        timed: The measurements, one per size.
        load_s: The seconds of loading.
        parameters: How many numbers the weights file holds; None without weights.
        file_bytes: The size of the file from which the method computes; None without one.
        multiply_adds: Multiply-adds per pixel; None if they were not counted.
        used: The files that the process used.
        problem: The reason why the process was ended, '' if it was not.
        sides: The sides of the images at which the method is timed; None for all.
        known: The seconds of a call by side, as measured in an earlier phase.

    """

    method: str
    threads: int
    process: OrderProcess
    timed: list[MethodTiming] = field(default_factory=list)
    load_s: float = 0.0
    parameters: int | None = None
    file_bytes: int | None = None
    multiply_adds: float | None = None
    used: tuple[UsedFile, ...] = ()
    problem: str = ""
    sides: tuple[int, ...] | None = None
    known: Mapping[int, float] = field(default_factory=dict)

    def started(self, within_s: float) -> None:
        """Wait for at most `within_s` seconds until the process is ready for orders."""
        if within_s <= 0:
            self.fail(NO_TIME)
        elif self._asked("ready", within_s=within_s, late=LATE) is None:
            self.fail(self.problem or LATE)

    def load(self, until: float) -> None:
        """Build the method and read the size of its weights."""
        seconds = self.ask("load", until=until)
        if seconds is not None:
            self.load_s = seconds
            self.parameters = self._told("parameters", until=until)
            self.file_bytes = self._told("file_bytes", until=until)

    def first(self, timed: MethodTiming, noisy: Image, info: NoiseInfo, until: float) -> None:
        """Make the first call on the image of a size."""
        found: FirstCall | None = self.ask("first", timed.side, noisy, info, until=until)
        if found:
            timed.loaded = LoadTimes(
                self.load_s, found.seconds, found.memory_bytes, self.parameters, found.device_bytes,
                file_bytes=self.file_bytes, again_s=found.again_s, waited_s=found.waited_s,
            )  # fmt: skip

    def warm(self, timed: MethodTiming, until: float) -> None:
        """Call the method until two calls in a row take equally long."""
        found = self.ask("warm", timed.side, timed.expected_s, max(0.0, until - time.monotonic()), until=until)
        if found:
            timed.warmups, timed.warm = found

    def call(self, timed: MethodTiming, count: int, until: float) -> None:
        """Make `count` calls and add them to the counted ones."""
        calls: list[TimedCall] = self.ask("call", timed.side, count, until=until) or []
        timed.seconds += [each.seconds for each in calls]
        timed.waits += [each.waited_s for each in calls]
        timed.device_seconds += [each.device_seconds for each in calls if each.device_seconds is not None]

    def count(self, timed: MethodTiming, until: float) -> None:
        """Count multiply-adds per pixel.

        The method does not fail if they cannot be counted, but does if its process ends or exceeds the time limit.
        """
        self.multiply_adds = self._told("multiply_adds", timed.side, until=until)

    def twice(self, timed: MethodTiming, count: int, between: int, until: float) -> list[tuple[float, float]]:
        """Time pairs of calls: one on a fresh image, and one on the same image right after it.

        Args:
            timed: The size and threads.
            count: The number of pairs.
            between: How many other calls are made between two pairs at most.
            until: The time limit, by `time.monotonic`.

        Returns:
            The seconds of both calls of each pair. Empty if the order failed.

        """
        return self.ask("twice", timed.side, count, between, until=until) or []

    def compare(self, trial: SelfTestCell, until: float) -> OutputComparison | str:
        """Compare the output of a timed call for a cell with the output of a quality call.

        Returns:
            The comparison, or a text with the reason why there is none.

        """
        seed = int(trial.task.cell.case[:8], 16)
        found: OutputComparison | str | None = self._asked(
            "compare", trial.noisy, trial.info, seed, within_s=until - time.monotonic()
        )
        return self.problem if found is None else found

    def note_used(self) -> None:
        """Record the files that the process has used, which belong to the identity of the results."""
        if not self.problem:
            self.used = self._asked("used", within_s=USED_S) or self.used

    def ask(self, *order: Any, until: float) -> Any:
        """Return the answer to an order; None if it failed, or if the process ended or was too slow.

        A failed order makes the method fail.
        """
        if self.problem:
            return None
        try:
            return self._answer(*order, within_s=until - time.monotonic(), late=NO_TIME)
        except OrderFailed as error:
            self.fail(str(error))
            return None

    def _told(self, *order: Any, until: float) -> Any:
        """Return the answer to an order as `_asked` does, with a point of time as the limit."""
        return self._asked(*order, within_s=until - time.monotonic())

    def _asked(self, *order: Any, within_s: float, late: str = NO_TIME) -> Any:
        """Return the answer to an order whose failure does not make the method fail; None if it failed.

        For the order `compare`, return the text of the error.
        """
        if self.problem:
            return None
        try:
            return self._answer(*order, within_s=within_s, late=late)
        except OrderFailed as error:
            return str(error) if order[0] == "compare" else None

    def _answer(self, order: str, *arguments: Any, within_s: float, late: str) -> Any:
        """Return the answer to an order; None if the process ended or was too slow, which makes the method fail."""
        try:
            return self.process.ask(order, *arguments, within_s=max(0.0, within_s))
        except ProcessLate:
            self.fail(late)
        except ProcessEnded:
            self.fail("its process died")
        return None

    def fail(self, problem: str) -> None:
        """Record the problem and end the process at once, because a process that hangs would disturb the others."""
        self.problem = problem
        self.end()

    def end(self) -> None:
        """End the process and all processes that it started."""
        self.process.end()


def launch(subject: TimingSubject, job: int, threads: int) -> TimingProcess:
    """Start a fresh process for a job of the subject.

    It is never a forked process, because the imports and the memory of the process are part of what is measured.

    Args:
        subject: The jobs and their images.
        job: The index of the job.
        threads: The number of threads.

    """
    settings = Settings(subject.device, revisions=subject.revisions, threads=threads)
    process = SpawnLauncher().launch("mdnbench.timing.timed_method:serve", subject.jobs[job], settings)
    return TimingProcess(subject.jobs[job].method.text, threads, process)
