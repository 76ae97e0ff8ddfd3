"""Self-tests of a timing, after MLPerf's: what is timed is what is scored, and no answer is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from mdnbench.spec.timings import NO_TIME, SelfTests
from mdnbench.timing.deadline import Deadline
from mdnbench.timing.process import MethodTiming, TimingProcess, TimingSubject, launch
from mdnbench.timing.timed_method import OutputComparison

FEW_PAIRS, PAIRS, MOST_PAIRS = 3, 5, 20  # few where a call takes over a second, most where it takes next to nothing
BETWEEN = 3
TURN_S = 0.25
LOOKS = 3
QUICKER = 0.9  # the same image again must not take less than this part of a fresh one
NEARLY_ALL = 0.8
LEAST_GAIN_S = 2e-4  # a cache that gains less would not pay for looking up an image
MOST = 0.7  # of what is left of the time, for one method
HALF_LEVEL = 0.5 / 255  # threads and GPUs add in other orders: less than what rounding to 8 bits hides


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """What a method's self-tests found, and its multiply-adds per pixel."""

    tests: SelfTests
    multiply_adds: float | None


def run(subject: TimingSubject, jobs: Iterable[int], threads: int, clock: Deadline) -> dict[int, SelfTestResult]:
    """Test the methods one by one; what does not fit into the time is not looked at.

    In processes of their own: what tests import and allocate must not be in the memory of what is timed.
    """
    found = {}
    for job in jobs:
        if clock.left(clock.end) <= 0:
            found[job] = SelfTestResult(SelfTests(f"not compared: {NO_TIME}"), None)
            continue
        process = launch(subject, job, threads)
        try:
            found[job] = _self_test(process, subject, job, clock.part(MOST))
        finally:
            process.end()
    return found


def _self_test(process: TimingProcess, subject: TimingSubject, job: int, clock: Deadline) -> SelfTestResult:
    side = min(subject.images)
    timed = MethodTiming(process.method, side=side, threads=process.threads)
    clock.tell(timed, "self-tests")
    process.started(clock.left(clock.end))
    process.load(clock.end)
    process.first(timed, *subject.images[side], clock.end)
    if process.problem or not timed.loaded:
        return SelfTestResult(SelfTests(f"not compared: {process.problem}"), None)
    process.count(timed, clock.end)
    process.warm(timed, clock.end)
    process.call(timed, 1, clock.end)  # now it is known what one takes
    output, holds = _output(process, timed, subject, job, clock)
    again, quicker = _again(process, timed, clock)
    return SelfTestResult(SelfTests(output, holds, again, quicker), process.multiply_adds)


def _output(
    process: TimingProcess, timed: MethodTiming, subject: TimingSubject, job: int, clock: Deadline
) -> tuple[str, bool]:
    """How the timed output compares with the quality run's, where there is time to look."""
    trial, stored = subject.trials[job], subject.stored[job]
    expected = 2.5 * timed.expected_s * max(1.0, trial.task.pixels / timed.side**2)
    if process.problem or expected > clock.left(clock.end):
        return f"not compared: {process.problem or NO_TIME}", True
    exact = process.threads == 1 and subject.device == "cpu"
    return verdict(process.compare(trial, clock.end), stored, exact)


def _again(process: TimingProcess, timed: MethodTiming, clock: Deadline) -> tuple[float | None, bool]:
    """How a known image compares with fresh ones, where there is time to look.

    A suspicion is looked into again, while there is time: what remembers does so each time, and chance does not.
    """
    ratio, quicker = None, False
    slow = timed.expected_s > 1.0
    count = FEW_PAIRS if slow else max(PAIRS, min(MOST_PAIRS, int(TURN_S / timed.expected_s)))
    between = 0 if slow else BETWEEN
    for _ in range(LOOKS):
        if process.problem or (2 + between) * count * timed.expected_s > clock.left(clock.end):
            break
        found = repeated_speedup(process.twice(timed, count, between, clock.end))
        if found[0] is not None:
            ratio, quicker = found
        if not quicker:
            break
    return ratio, quicker


def repeated_speedup(pairs: list[tuple[float, float]]) -> tuple[float | None, bool]:
    """The median of same over fresh, and whether the same image was quicker: by medians, at best, and in most pairs.

    All three, because on a busy machine each alone may be by chance.
    """
    if not pairs:
        return None, False
    fresh, same = zip(*pairs, strict=True)
    ratio, gain = median(same) / median(fresh), median(fresh) - median(same)
    often = sum(one < QUICKER * other for other, one in pairs) >= NEARLY_ALL * len(pairs)
    return ratio, often and ratio < QUICKER and min(same) < QUICKER * min(fresh) and gain > LEAST_GAIN_S


def verdict(found: OutputComparison | str, stored: str, exact: bool) -> tuple[str, bool]:
    """What a comparison of outputs says, and whether it holds: to the last bit where `exact`, else to half a level."""
    if isinstance(found, str):
        return f"not compared: {found}", True
    beside = "" if not stored else ", and to the stored one" if stored == found.digest else "; the stored one differs"
    if found.same:
        return f"equal{beside}", True
    if not exact and found.difference <= HALF_LEVEL:
        return f"equal to {found.difference * 255:.1g} of 255 levels", True
    return f"differs by up to {found.difference * 255:.3g} of 255 levels", False
