"""Self-tests of timed methods, after MLPerf's: the timed output is the scored one, and no output is reused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from mdnbench.spec.timings import NO_TIME, SelfTests
from mdnbench.timing.answers import OutputComparison
from mdnbench.timing.deadline import Deadline
from mdnbench.timing.process import MethodTiming, TimingProcess, TimingSubject, launch

FEW_PAIRS, PAIRS, MOST_PAIRS = 3, 5, 20  # few if a call takes over a second, most if it is very fast
BETWEEN = 3  # other calls between two pairs at most
TURN_S = 0.25  # about the seconds that one look spends on fresh images
LOOKS = 3  # how often a suspicious result is measured at most
QUICKER = 0.9  # the same image again must not take less than this share of the time for a fresh one
NEARLY_ALL = 0.8  # share of the pairs in which the same image must have been faster
LEAST_GAIN_S = 2e-4  # a smaller gain would not even pay for looking an image up in a cache
MOST = 0.7  # share of the remaining time, for one method
HALF_LEVEL = 0.5 / 255  # threads and GPUs add in other orders; rounding to 8 bits hides such differences


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """The results of a method's self-tests, and its multiply-adds per pixel."""

    tests: SelfTests
    multiply_adds: float | None


def run(subject: TimingSubject, jobs: Iterable[int], threads: int, clock: Deadline) -> dict[int, SelfTestResult]:
    """Test the methods one after the other, as long as there is time.

    Each method runs in a process of its own, because what the tests import and allocate must not count as memory of the
    timed process.

    Args:
        subject: The jobs and their images.
        jobs: The indices of the jobs to test.
        threads: The number of threads.
        clock: The time limit.

    Returns:
        The results by job. A job without time has a result with that reason.

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
    """Test one method in this process."""
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
    process.call(timed, 1, clock.end)  # now it is known how long a call takes
    output, holds = _output(process, timed, subject, job, clock)
    again, quicker = _again(process, timed, clock)
    return SelfTestResult(SelfTests(output, holds, again, quicker), process.multiply_adds)


def _output(
    process: TimingProcess, timed: MethodTiming, subject: TimingSubject, job: int, clock: Deadline
) -> tuple[str, bool]:
    """Compare the timed output with the output of the quality run, if there is time.

    Returns:
        A text for the record, and whether the outputs agree or were not compared.

    """
    trial, stored = subject.trials[job], subject.stored[job]
    expected = 2.5 * timed.expected_s * max(1.0, trial.task.pixels / timed.side**2)
    if process.problem or expected > clock.left(clock.end):
        return f"not compared: {process.problem or NO_TIME}", True
    exact = process.threads == 1 and subject.device == "cpu"
    return _agreement(process.compare(trial, clock.end), stored, exact)


def _again(process: TimingProcess, timed: MethodTiming, clock: Deadline) -> tuple[float | None, bool]:
    """Compare the time for an image that the method has seen with the time for fresh images, if there is time.

    A suspicious result is measured again, as long as there is time: a method that reuses outputs is faster each time,
    and chance is not.

    Returns:
        The ratio of the times, or None if it was not measured, and whether the same image was faster.

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
    """Compare the times of calls on the same image with those on fresh images.

    Args:
        pairs: The seconds on a fresh image, and on the same image right after it.

    Returns:
        The ratio of the medians, None without pairs, and whether the same image was faster. It is if the medians, the
        fastest calls and most pairs all show it. All three are needed, because on a busy machine each alone may happen
        by chance.

    """
    if not pairs:
        return None, False
    fresh, same = zip(*pairs, strict=True)
    ratio, gain = median(same) / median(fresh), median(fresh) - median(same)
    often = sum(one < QUICKER * other for other, one in pairs) >= NEARLY_ALL * len(pairs)
    return ratio, often and ratio < QUICKER and min(same) < QUICKER * min(fresh) and gain > LEAST_GAIN_S


def _agreement(found: OutputComparison | str, stored: str, exact: bool) -> tuple[str, bool]:
    """Return the result of a comparison of outputs.

    Args:
        found: The comparison, or the reason why there is none.
        stored: The digest of the stored output, or ''.
        exact: Whether the outputs must be equal to the last bit. Otherwise they may differ by half a level of 255.

    Returns:
        A text for the record, and whether the outputs agree or were not compared.

    """
    if isinstance(found, str):
        return f"not compared: {found}", True
    beside = "" if not stored else ", and to the stored one" if stored == found.digest else "; the stored one differs"
    if found.same:
        return f"equal{beside}", True
    if not exact and found.difference <= HALF_LEVEL:
        return f"equal to {found.difference * 255:.1g} of 255 levels", True
    return f"differs by up to {found.difference * 255:.3g} of 255 levels", False
