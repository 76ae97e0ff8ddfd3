"""A timing process as the timing phase sees it: one method that takes orders, and what was measured of it so far."""

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
from mdnbench.timing.timed_method import FirstCall, OutputComparison, TimedCall

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo, UsedFile
    from mdnbench.spec.specs import Image

ONLY_FIRST = "there was time for its first call alone"
BUSY = "the machine was busy"
USED_S = 10.0
ONE_ROUND_S = 30.0  # where the first call takes longer, it is the only round


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """What loading a method and its first call on an image of a size took, and how large its weights are.

    `memory_bytes` are the process's own beyond its idle base, `device_bytes` a GPU's; `multiply_adds` are per pixel.
    `file_bytes` is the size of the file that the method computes from. `again_s` is the second call's time where the
    first had to compile. For `waited_s` seconds of the first call the process waited for a processor.
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
        """The seconds of a first call that did not have to compile."""
        return self.first_call_s if self.again_s is None else self.again_s


@dataclass
class MethodTiming:
    """What was measured of one method at one size on so many threads, and why there is nothing or no more.

    `seconds` are those of every counted call, `device_seconds` the same by the GPU's clock, and `waits` how long each
    call waited for a processor. `warmups` calls were made before these, and `warm` says whether the last two of them
    took equally long. `used` are the files that its process has used. `unfinished` says why the seconds are not a
    finished timing, although the method works.
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
    """A cell to compare outputs on: the task, its noisy image, and what is known of the noise."""

    task: Task
    noisy: Image
    info: NoiseInfo


@dataclass(frozen=True)
class TimingSubject:
    """What is timed: jobs on a device, on a noisy image of each size by its side.

    `trials` are cells to compare outputs on, by job, and `stored` the digests of their outputs, '' where none is known.
    `revisions` are those of the plan, by kind and name.
    """

    jobs: tuple[Job, ...]
    device: str
    images: Mapping[int, tuple[Image, NoiseInfo]]
    trials: Sequence[SelfTestCell] = ()
    stored: Sequence[str] = ()
    revisions: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class TimingProcess:
    """One method in a process of its own; one that failed or ran out of time is ended and takes no more orders.

    `sides` are those that it is timed at, None for all, and `known` are the seconds of a call that an earlier phase has
    measured, by side.
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
        """Wait until it is ready for orders."""
        if within_s <= 0:
            self.fail(NO_TIME)
        elif self._asked("ready", within_s=within_s, late=LATE) is None:
            self.fail(self.problem or LATE)

    def load(self, until: float) -> None:
        """Build the method and read its weights' size."""
        seconds = self.ask("load", until=until)
        if seconds is not None:
            self.load_s = seconds
            self.parameters = self._told("parameters", until=until)
            self.file_bytes = self._told("file_bytes", until=until)

    def first(self, timed: MethodTiming, noisy: Image, info: NoiseInfo, until: float) -> None:
        """The first call on the image of a size."""
        found: FirstCall | None = self.ask("first", timed.side, noisy, info, until=until)
        if found:
            timed.loaded = LoadTimes(
                self.load_s, found.seconds, found.memory_bytes, self.parameters, found.device_bytes,
                file_bytes=self.file_bytes, again_s=found.again_s, waited_s=found.waited_s,
            )  # fmt: skip

    def warm(self, timed: MethodTiming, until: float) -> None:
        """Call until two calls agree."""
        found = self.ask("warm", timed.side, timed.expected_s, max(0.0, until - time.monotonic()), until=until)
        if found:
            timed.warmups, timed.warm = found

    def call(self, timed: MethodTiming, count: int, until: float) -> None:
        """Count so many calls."""
        calls: list[TimedCall] = self.ask("call", timed.side, count, until=until) or []
        timed.seconds += [each.seconds for each in calls]
        timed.waits += [each.waited_s for each in calls]
        timed.device_seconds += [each.device_seconds for each in calls if each.device_seconds is not None]

    def count(self, timed: MethodTiming, until: float) -> None:
        """Count multiply-adds per pixel; where that is not possible, nothing fails."""
        self.multiply_adds = self._told("multiply_adds", timed.side, until=until)

    def twice(self, timed: MethodTiming, count: int, between: int, until: float) -> list[tuple[float, float]]:
        """The seconds of pairs of calls, a fresh image and the same again, and up to `between` others between them."""
        return self.ask("twice", timed.side, count, between, until=until) or []

    def compare(self, trial: SelfTestCell, until: float) -> OutputComparison | str:
        """What a timed call makes of a cell beside what a quality call makes of it; a text says what failed."""
        seed = int(trial.task.cell.case[:8], 16)
        found: OutputComparison | str | None = self._asked(
            "compare", trial.noisy, trial.info, seed, within_s=until - time.monotonic()
        )
        return self.problem if found is None else found

    def note_used(self) -> None:
        """Note the files that the process has used, for the identity of what was measured."""
        if not self.problem:
            self.used = self._asked("used", within_s=USED_S) or self.used

    def ask(self, *order: Any, until: float) -> Any:
        """The answer to an order; None when it failed, died or took too long."""
        if self.problem:
            return None
        try:
            return self._answer(*order, within_s=until - time.monotonic(), late=NO_TIME)
        except OrderFailed as error:
            self.fail(str(error))
            return None

    def _told(self, *order: Any, until: float) -> Any:
        """The answer to a question that a process may fail to answer; None then."""
        return self._asked(*order, within_s=until - time.monotonic())

    def _asked(self, *order: Any, within_s: float, late: str = NO_TIME) -> Any:
        """The answer to an order whose failure says nothing against the method; of `compare`, what it raised."""
        if self.problem:
            return None
        try:
            return self._answer(*order, within_s=within_s, late=late)
        except OrderFailed as error:
            return str(error) if order[0] == "compare" else None

    def _answer(self, order: str, *arguments: Any, within_s: float, late: str) -> Any:
        try:
            return self.process.ask(order, *arguments, within_s=max(0.0, within_s))
        except ProcessLate:
            self.fail(late)
        except ProcessEnded:
            self.fail("its process died")
        return None

    def fail(self, problem: str) -> None:
        """Give it up at once: what hangs must not run beside the others."""
        self.problem = problem
        self.end()

    def end(self) -> None:
        """End the process and its descendants."""
        self.process.end()


def launch(subject: TimingSubject, job: int, threads: int) -> TimingProcess:
    """Start a fresh process for a job of the subject.

    Never a forked one: what it loads and holds in memory is part of what is measured.
    """
    settings = Settings(subject.device, revisions=subject.revisions, threads=threads)
    process = SpawnLauncher().launch("mdnbench.timing.timed_method:serve", subject.jobs[job], settings)
    return TimingProcess(subject.jobs[job].method.text, threads, process)
