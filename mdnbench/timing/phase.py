"""The timing phase: fresh processes, sizes from small to large, and rounds over all methods in random order."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mdnbench.spec.timings import NO_TIME, TOO_SHORT
from mdnbench.timing import missing, process, selftests
from mdnbench.timing.conditions import Conditions
from mdnbench.timing.cpu_wait import disturbed
from mdnbench.timing.deadline import Deadline
from mdnbench.timing.missing import Missing, MissingByMethod
from mdnbench.timing.process import BUSY, ONE_ROUND_S, ONLY_FIRST, MethodTiming, TimingProcess, TimingSubject
from mdnbench.util.limits import MAX_WARMUP_S
from mdnbench.util.listener import Listener

TURN_S = 0.25  # a turn of a method is as many calls as fit into this time, at least one
AT_ONCE = 12  # so many methods take turns with each other at most
MARGIN = 1.2  # a call may take this many times its expected time
TESTS = 0.25  # share of the time for the self-tests of all methods
FIRST = 0.8  # share of the remaining time for a first call, unless it is expected to take longer


def measure(
    subject: TimingSubject,
    conditions: Conditions,
    *,
    lacks: MissingByMethod | None = None,
    listener: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[MethodTiming]:
    """Time every job of the subject under every condition, within the budget.

    If one call takes more than 30 s, the first call is the only round.

    Args:
        subject: The jobs and their images.
        conditions: The conditions.
        lacks: The sides and self-tests to measure, by method and threads; without it, all.
        listener: The object that receives the progress.
        stop: A function that returns whether the user has asked to stop.

    Returns:
        The measurements, one per method, size and number of threads.

    """
    listener = listener or Listener()
    if lacks is None:
        lacks = missing.of_record(None, [job.method.text for job in subject.jobs], conditions)
    listener.begin("timing", conditions.budget_s)
    start = time.monotonic()
    timed: list[MethodTiming] = []
    parts = _parts(subject, conditions, lacks)
    for number, (threads, lacking) in enumerate(parts, start=1):
        clock = Deadline(start, start + conditions.budget_s * number / len(parts), listener, stop)
        timed += _measure_part(subject, lacking, threads, conditions, clock)
    listener.end("timing")
    return timed


def _parts(
    subject: TimingSubject, conditions: Conditions, lacks: MissingByMethod
) -> list[tuple[int, dict[int, Missing]]]:
    """Return the parts of the phase: a number of threads, and what is missing of the jobs that are timed in turns.

    A part holds all jobs on a number of threads, or some of them if there are many.
    """
    parts = []
    for threads in conditions.threads:
        named = {job: (each.method.text, threads) for job, each in enumerate(subject.jobs)}
        lacking = [(job, lacks[name]) for job, name in named.items() if name in lacks]
        parts += [(threads, dict(lacking[first : first + AT_ONCE])) for first in range(0, len(lacking), AT_ONCE)]
    return parts


def _measure_part(
    subject: TimingSubject, lacking: dict[int, Missing], threads: int, conditions: Conditions, clock: Deadline
) -> list[MethodTiming]:
    """Time the jobs of a part.

    First calls at all sizes come first, so each size has a result. Rounds over methods and sizes follow as long as
    there is time.
    """
    tested = [job for job, lack in lacking.items() if lack.tests]
    jobs = [job for job, lack in lacking.items() if lack.sides]
    tests = selftests.run(subject, tested, threads, clock.part(TESTS if jobs else 1.0))
    processes = [process.launch(subject, job, threads) for job in jobs]
    for job, each in zip(jobs, processes, strict=True):
        each.sides, each.known = lacking[job].sides, lacking[job].known
    try:
        for each in processes:
            each.started(clock.left(clock.end))
        for each in processes:
            clock.tell(MethodTiming(each.method, side=conditions.sizes[0], threads=threads), "loading")
            each.load(clock.end)
        order = random.Random(0)
        for side in conditions.sizes:
            here = [each for each in processes if each.sides is None or side in each.sides]
            _begin(order.sample(here, len(here)), subject, side, clock)
        counted = [job for job, found in tests.items() if found.multiply_adds]
        uncounted = [each for job, each in zip(jobs, processes, strict=True) if job not in counted]
        _count(uncounted, clock)
        rounds(processes, order, conditions.rounds, clock)
        for each in processes:
            each.note_used()
    finally:
        for each in processes:
            each.end()
    untested = [job for job, each in zip(jobs, processes, strict=True) if _lacks_tests(each, tests.get(job))]
    tests |= selftests.run(subject, untested, threads, clock)
    for job, each in zip(jobs, processes, strict=True):
        _close(each, tests.get(job), conditions.rounds)
    only_tested = [
        MethodTiming(subject.jobs[job].method.text, side=conditions.sizes[0], threads=threads, self_tests=found.tests)
        for job, found in tests.items() if job not in jobs
    ]  # fmt: skip
    return [timed for each in processes for timed in each.timed] + only_tested


def _lacks_tests(each: TimingProcess, found: selftests.SelfTestResult | None) -> bool:
    """Return whether a method was timed but had no time for its self-tests, which may fit into the time left."""
    return found is not None and not found.tests.complete and any(timed.loaded for timed in each.timed)


def _begin(processes: Sequence[TimingProcess], subject: TimingSubject, side: int, clock: Deadline) -> None:
    """Make the first call at a size if the size before suggests that there is time, then warm up."""
    for each in processes:
        expected = _expected(each, side)
        timed = MethodTiming(each.method, side=side, threads=each.threads)
        each.timed.append(timed)
        until = clock.share(FIRST)  # a method that hangs leaves some time to the others
        if expected is not None and expected > clock.left(until):
            until = clock.end
        if expected is None or expected < clock.left(until):
            clock.tell(timed, "first call")
            each.first(timed, *subject.images[side], until)
    for each in processes:
        _warm_up(each, each.timed[-1], clock)


def _expected(each: TimingProcess, side: int) -> float | None:
    """Return the seconds that a call at this size may take, estimated from the size before; None if unknown."""
    known = {timed.side: timed.expected_s if timed.loaded else math.inf for timed in each.timed}
    before = max((other for other in (*known, *each.known) if other < side), default=None)
    if before is None:
        return None
    seconds = known[before] if before in known else each.known[before]
    return MARGIN * seconds * (side / before) ** 2


def _warm_up(each: TimingProcess, timed: MethodTiming, clock: Deadline) -> None:
    """Warm a method up.

    A long call is counted as a round instead, if it is the only call or if the sizes before have warmed the method up.
    """
    if each.problem or timed.loaded is None:
        return
    if timed.loaded.call_s > (ONE_ROUND_S if timed is each.timed[0] else MAX_WARMUP_S):
        timed.seconds.append(timed.loaded.call_s)
        timed.waits.append(timed.loaded.waited_s)
    elif 2 * MARGIN * timed.expected_s < clock.left(clock.end):  # if only one more call fits, it is counted instead
        clock.tell(timed, "warm-up")
        each.warm(timed, clock.end)


def _count(processes: Sequence[TimingProcess], clock: Deadline) -> None:
    """Count multiply-adds on a corner of the smallest image, in all processes at once, because nothing is timed.

    This comes after the first calls, because the counter must not be part of their memory.
    """

    def count(each: TimingProcess) -> None:
        timed = each.timed[0]
        if not each.problem and timed.loaded and MARGIN * timed.expected_s < clock.left(clock.end):
            each.count(timed, clock.end)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(count, processes))


def rounds(processes: Sequence[TimingProcess], order: random.Random, most: int, clock: Deadline) -> None:
    """Time the methods in rounds, until each has its calls or no call fits into the remaining time.

    A round goes over all methods and sizes in random order.

    Args:
        processes: The processes of the methods.
        order: The random generator for the order.
        most: How many calls of each method and size are counted at most.
        clock: The time limit.

    """
    alive = [(each, timed) for each in processes for timed in each.timed if timed.loaded]
    while alive := [pair for pair in alive if _fits(*pair, most, clock)]:
        for each, timed in order.sample(alive, len(alive)):
            if _fits(each, timed, most, clock):
                clock.tell(timed)
                turn = int(TURN_S / max(timed.expected_s, 1e-4))
                each.call(timed, max(1, min(most - len(timed.seconds), turn)), clock.end)


def _fits(each: TimingProcess, timed: MethodTiming, most: int, clock: Deadline) -> bool:
    """Return whether a method needs another call and the call fits into the remaining time."""
    once = timed.loaded is not None and timed.loaded.call_s > ONE_ROUND_S
    ready = not each.problem and len(timed.seconds) < (1 if once else most)
    return ready and MARGIN * timed.expected_s < clock.left(clock.end)


def _close(each: TimingProcess, found: selftests.SelfTestResult | None, most: int) -> None:
    """Complete what was measured of a method: problems, multiply-adds and self-tests.

    If there was time only for the first call, the first call is the result, and the timing is not finished.
    """
    broke = "" if each.problem in TOO_SHORT else each.problem
    for timed in each.timed:
        timed.used = each.used
        if timed.loaded:
            timed.unfinished = _unfinished(timed, most)
            timed.seconds = timed.seconds or [timed.loaded.call_s]
            work = (found and found.multiply_adds) or each.multiply_adds
            timed.loaded = replace(timed.loaded, multiply_adds=work)
            timed.problem = broke
        else:
            timed.problem = each.problem or NO_TIME
    if found and each.timed:
        each.timed[0].self_tests = found.tests


def _unfinished(timed: MethodTiming, most: int) -> str:
    """Return the reason why a timing with at most `most` calls is not finished, '' if it is finished."""
    assert timed.loaded is not None
    first = timed.loaded.call_s
    if not timed.seconds or (most > 1 and timed.seconds == [first] and first <= ONE_ROUND_S):
        return ONLY_FIRST
    return BUSY if disturbed(timed.seconds, timed.waits) else ""
