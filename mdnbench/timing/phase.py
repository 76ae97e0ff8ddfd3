"""The timing phase: fresh processes, sizes from small to large, and rounds that go over all methods in random order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mdnbench.listener import Listener
from mdnbench.timing import probe, process, selftests
from mdnbench.timing.clock import Clock
from mdnbench.timing.conditions import Conditions
from mdnbench.timing.process import NO_TIME, TOO_SHORT, Subject, Timed, Timing

ONE_ROUND_S = 30.0
TURN_S = 0.25
AT_ONCE = 12
MARGIN = 1.2  # a call may take so much longer than expected
TESTS = 0.25  # of the time, for the self-tests of all methods
FIRST = 0.8  # of the time left, for the first call of a method that nothing is known of


def measure(
    subject: Subject,
    conditions: Conditions,
    *,
    listener: Listener | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Timed]:
    """Time every job of the subject under every condition, within the budget in all: one Timed for each.

    Where one call takes over 30 s, the first is the only round.
    """
    listener = listener or Listener()
    listener.begin("timing", conditions.budget_s)
    start = time.monotonic()
    timed: list[Timed] = []
    parts = _parts(len(subject.jobs), conditions)
    for number, (threads, jobs) in enumerate(parts, start=1):
        clock = Clock(start, start + conditions.budget_s * number / len(parts), listener, stop)
        timed += _measure_part(subject, jobs, threads, conditions, clock)
    listener.end("timing")
    return timed


def _parts(jobs: int, conditions: Conditions) -> list[tuple[int, range]]:
    """Methods that take turns with each other: all on so many threads, or some of them where they are many."""
    groups = [range(first, min(first + AT_ONCE, jobs)) for first in range(0, jobs, AT_ONCE)]
    return [(threads, group) for threads in conditions.threads for group in groups]


def _measure_part(subject: Subject, jobs: range, threads: int, conditions: Conditions, clock: Clock) -> list[Timed]:
    """First calls at every size, so that each has a figure; then rounds over methods and sizes while there is time."""
    tested = jobs if conditions.self_tests else ()
    tests = selftests.run(subject, tested, threads, clock.part(TESTS))
    processes = [process.launch(subject, job, threads) for job in jobs]
    try:
        for each in processes:
            each.started(clock.left(clock.end))
        for each in processes:
            clock.tell(Timed(each.method, side=conditions.sizes[0], threads=threads), "loading")
            each.load(clock.end)
        order = random.Random(0)
        for side in conditions.sizes:
            _begin(order.sample(processes, len(processes)), subject, side, clock)
        counted = [job for job, found in tests.items() if found.multiply_adds]
        _count([each for job, each in zip(jobs, processes, strict=True) if job not in counted], clock)
        rounds(processes, order, conditions.rounds, clock)
        for each in processes:
            each.note_used()
    finally:
        for each in processes:
            each.end()
    lacking = [job for job, each in zip(jobs, processes, strict=True) if _lacks_tests(each, tests.get(job))]
    tests |= selftests.run(subject, lacking, threads, clock)
    for job, each in zip(jobs, processes, strict=True):
        _close(each, tests.get(job))
    return [timed for each in processes for timed in each.timed]


def _lacks_tests(each: Timing, found: selftests.Examined | None) -> bool:
    """Whether a method was timed, and its tests only lacked time: some may be left now."""
    return found is not None and not found.tests.complete and any(timed.loaded for timed in each.timed)


def _begin(processes: Sequence[Timing], subject: Subject, side: int, clock: Clock) -> None:
    """First calls at a size, where the size before says that there is time, and warm-ups."""
    for each in processes:
        before = each.timed[-1] if each.timed else None
        timed = Timed(each.method, side=side, threads=each.threads)
        each.timed.append(timed)
        until = clock.end if before else clock.share(FIRST)
        if before is None or (before.loaded and _grown(before, side) < clock.left(until)):
            clock.tell(timed, "first call")
            each.first(timed, *subject.images[side], until)
    for each in processes:
        _warm_up(each, each.timed[-1], clock)


def _grown(before: Timed, side: int) -> float:
    """The seconds that a call at this size may take, by those at the size before."""
    return MARGIN * before.expected_s * (side / before.side) ** 2


def _warm_up(each: Timing, timed: Timed, clock: Clock) -> None:
    """Warm up; a long call is a round where it is the only one, or where the sizes before have warmed the method up."""
    if each.problem or timed.loaded is None:
        return
    if timed.loaded.call_s > (ONE_ROUND_S if timed is each.timed[0] else probe.LONGEST_WARMUP_S):
        timed.seconds.append(timed.loaded.call_s)
    elif MARGIN * timed.expected_s < clock.left(clock.end):
        clock.tell(timed, "warm-up")
        each.warm(timed, clock.end)


def _count(processes: Sequence[Timing], clock: Clock) -> None:
    """Count multiply-adds on a corner of the smallest image, after first calls: it must not be in their memory."""
    for each in processes:
        timed = each.timed[0]
        if not each.problem and timed.loaded and MARGIN * timed.expected_s < clock.left(clock.end):
            each.count(timed, clock.end)


def rounds(processes: Sequence[Timing], order: random.Random, most: int, clock: Clock) -> None:
    """Rounds over methods and sizes in random order, until each has its calls or none fits into the time left."""
    alive = [(each, timed) for each in processes for timed in each.timed if timed.loaded]
    while alive := [pair for pair in alive if _fits(*pair, most, clock)]:
        for each, timed in order.sample(alive, len(alive)):
            if _fits(each, timed, most, clock):
                clock.tell(timed)
                turn = int(TURN_S / max(timed.expected_s, 1e-4))
                each.call(timed, max(1, min(most - len(timed.seconds), turn)), clock.end)


def _fits(each: Timing, timed: Timed, most: int, clock: Clock) -> bool:
    once = timed.loaded is not None and timed.loaded.call_s > ONE_ROUND_S
    ready = not each.problem and len(timed.seconds) < (1 if once else most)
    return ready and MARGIN * timed.expected_s < clock.left(clock.end)


def _close(each: Timing, found: selftests.Examined | None) -> None:
    """Say why there is nothing, or no more where the method broke; set what the self-tests found beside the timings.

    Where there was time for the first call alone, it is the round.
    """
    broke = "" if each.problem in TOO_SHORT else each.problem
    for timed in each.timed:
        timed.used = each.used
        if timed.loaded:
            timed.seconds = timed.seconds or [timed.loaded.call_s]
            work = (found and found.multiply_adds) or each.multiply_adds
            timed.loaded = replace(timed.loaded, multiply_adds=work)
            timed.problem = broke
        else:
            timed.problem = each.problem or NO_TIME
    if found and each.timed:
        each.timed[0].self_tests = found.tests
