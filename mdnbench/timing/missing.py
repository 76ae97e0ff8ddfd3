"""Find what a timing record lacks, for a later phase to measure only that, and add the results of that phase."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mdnbench.spec.timings import Benchmark, SelfTests, TimingRecord
from mdnbench.timing.conditions import Conditions
from mdnbench.timing.process import ONE_ROUND_S, MethodTiming
from mdnbench.timing.record import named

TimingKey: TypeAlias = tuple[str, int, int]  # a method, the threads and the side of the image


@dataclass(frozen=True, slots=True)
class Missing:
    """The sides and self-tests of a method that are still to be measured, on a number of threads.

    Attributes:
        sides: The sides of the images, in pixels, at which it is still to be timed.
        tests: Whether its self-tests are still to be run.
        known: The seconds of its fastest call, by side, for the sides that are finished.

    """

    sides: tuple[int, ...]
    tests: bool = False
    known: Mapping[int, float] = field(default_factory=dict)


MissingByMethod: TypeAlias = Mapping[tuple[str, int], Missing]  # by method and threads


def of_record(record: TimingRecord | None, methods: Iterable[str], conditions: Conditions) -> dict[
    tuple[str, int], Missing
]:  # fmt: skip
    """Return what a record lacks of these methods under these conditions; without a record, everything.

    Returns:
        The missing sides and self-tests, by method and number of threads. Complete methods are left out.

    """
    there = _by_key(record)
    lacks = {}
    for method in methods:
        for threads in conditions.threads:
            here = {side: there.get((method, threads, side)) for side in conditions.sizes}
            done = {side: each for side, each in here.items() if each and finished(each, conditions)}
            sides = tuple(side for side in conditions.sizes if side not in done)
            tests = conditions.self_tests and not _tested(filter(None, here.values()))
            if sides or tests:
                known = {side: min(each.stats.data) for side, each in done.items()}
                lacks[method, threads] = Missing(sides, tests, known)
    return lacks


def finished(each: Benchmark, conditions: Conditions) -> bool:
    """Return whether a benchmark is finished under these conditions, and need not be measured again.

    A benchmark that a smaller budget cut short is not finished. Its remaining calls are measured.
    """
    extra, seconds = each.extra_info, each.stats.data
    if extra.problem or extra.unfinished:
        return False
    whole = len(seconds) >= conditions.rounds or min(seconds) > ONE_ROUND_S
    return whole or bool(extra.budget_s >= conditions.budget_s)


def joined(
    former: TimingRecord | None, fresh: TimingRecord, timed: Sequence[MethodTiming], methods: Sequence[str],
    conditions: Conditions,
) -> TimingRecord:  # fmt: skip
    """Return a fresh record, completed with the results of a former one that were not measured again.

    Args:
        former: The former record, if there is one.
        fresh: The record of what was measured now.
        timed: What was measured now.
        methods: The methods of the record, as canonical texts.
        conditions: The conditions of the record.

    """
    old, new = _by_key(former), _by_key(fresh)
    why = {(each.method, each.threads, each.side): each.problem for each in timed}
    several = conditions.several
    found: dict[TimingKey, Benchmark] = {}
    problems: dict[str, str] = {}
    for place in _keys(methods, conditions):
        each = new.get(place) or old.get(place)
        if each:
            found[place] = each
        if problem := each.extra_info.problem if each else why.get(place, ""):
            problems[named(*place, several=several)] = problem
    benchmarks = tuple(_with_tests(found, old, timed))
    return dataclasses.replace(fresh, benchmarks=benchmarks, problems=problems)


def _with_tests(
    found: Mapping[TimingKey, Benchmark], old: Mapping[TimingKey, Benchmark], timed: Sequence[MethodTiming]
) -> Iterator[Benchmark]:
    """Yield the benchmarks with each method's self-tests at its smallest image.

    These are the newest self-tests, or older ones if the newest ran out of time.
    """
    tests: dict[tuple[str, int], SelfTests] = {}
    for (method, threads, _), each in old.items():
        if each.extra_info.self_tests:
            tests[method, threads] = each.extra_info.self_tests
    for one in timed:
        key = (one.method, one.threads)
        if one.self_tests and (one.self_tests.complete or key not in tests):
            tests[key] = one.self_tests
    for (method, threads, _), each in found.items():
        extra = dataclasses.replace(each.extra_info, self_tests=tests.pop((method, threads), None))
        yield dataclasses.replace(each, extra_info=extra)


def _tested(benchmarks: Iterable[Benchmark]) -> bool:
    """Return whether complete self-tests are among these benchmarks."""
    known = [each.extra_info.self_tests for each in benchmarks]
    return any(tests.complete for tests in known if tests)


def _keys(methods: Sequence[str], conditions: Conditions) -> Iterator[TimingKey]:
    """Yield the keys of all methods under all conditions."""
    for threads in conditions.threads:
        for method in methods:
            for side in conditions.sizes:
                yield method, threads, side


def _by_key(record: TimingRecord | None) -> dict[TimingKey, Benchmark]:
    """Return the benchmarks of a record by their keys."""
    benchmarks = record.benchmarks if record else ()
    return {(each.name, each.extra_info.threads, each.extra_info.side): each for each in benchmarks}
