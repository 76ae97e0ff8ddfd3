"""What a record lacks, and how later figures come into it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mdnbench.spec.timings import NO_TIME, Benchmark, SelfTests, TimingRecord
from mdnbench.timing import missing, phase, summary
from mdnbench.timing import record as records
from mdnbench.timing.conditions import Conditions
from mdnbench.timing.missing import Missing
from mdnbench.timing.process import BUSY, ONE_ROUND_S, ONLY_FIRST, LoadTimes, MethodTiming, TimingProcess

UNDER = Conditions((64, 96), (1,), 60.0, rounds=3)
TESTED = dataclasses.replace(UNDER, self_tests=True)


def timed(method: str, side: int, seconds: list[float], **fields: Any) -> MethodTiming:
    """What was measured of a method at a size on one thread."""
    loaded = LoadTimes(0.5, 1.0, 0, None) if seconds else None
    return MethodTiming(method, loaded, seconds, side=side, waits=[0.0] * len(seconds), **fields)


def record(*found: MethodTiming, budget_s: float = 60.0) -> TimingRecord:
    """The record of a phase."""
    return records.make(found, "gaussian:sigma=50", "cpu", budget_s)


def test_without_a_record_everything_is_missing() -> None:
    """Every size of every method, and the self-tests where there are any."""
    assert missing.of_record(None, ["a"], UNDER) == {("a", 1): Missing((64, 96))}
    assert missing.of_record(None, ["a"], TESTED) == {("a", 1): Missing((64, 96), tests=True)}


def test_only_what_is_not_finished_is_missing() -> None:
    """A size without figures, of a first call alone, or of a method that broke; what is known goes with it."""
    found = record(
        timed("a", 64, [0.2, 0.1, 0.3]), timed("a", 96, [], problem=NO_TIME),
        timed("b", 64, [0.1], unfinished=ONLY_FIRST), timed("b", 96, [0.1] * 3),
        timed("c", 64, [0.1] * 3, problem="its process died"), timed("c", 96, [0.1] * 3),
        timed("d", 64, [0.1] * 3, unfinished=BUSY), timed("d", 96, [0.1] * 3),
        timed("e", 64, [0.1] * 3), timed("e", 96, [0.1] * 3),
    )  # fmt: skip
    lacks = missing.of_record(found, "abcde", UNDER)
    assert {method: lack.sides for (method, _), lack in lacks.items()} == {
        "a": (96,),
        "b": (64,),
        "c": (64,),
        "d": (64,),
    }
    assert lacks["a", 1].known == {64: 0.1}


@pytest.mark.parametrize(("seconds", "budget_s", "done"), [
    ([0.1] * 3, 5.0, True), ([0.1] * 2, 5.0, False), ([0.1] * 2, 60.0, True), ([0.1] * 2, 90.0, True),
    ([ONE_ROUND_S + 1], 5.0, True),
])  # fmt: skip
def test_what_a_smaller_budget_cut_short_is_not_finished(seconds: list[float], budget_s: float, done: bool) -> None:
    """All rounds, the only round of a slow method, or as many as this budget gave."""
    (each,) = record(timed("a", 64, seconds), budget_s=budget_s).benchmarks
    assert missing.finished(each, UNDER) is done


def test_self_tests_that_lacked_time_are_missing_alone() -> None:
    """They come into the record without a figure being measured anew, next to the smallest size."""
    late, complete = SelfTests(f"not compared: {NO_TIME}"), SelfTests("equal", again=1.0)
    former = record(timed("a", 64, [0.1] * 3, self_tests=late), timed("a", 96, [0.1] * 3))
    assert missing.of_record(former, ["a"], TESTED) == {("a", 1): Missing((), tests=True, known={64: 0.1, 96: 0.1})}
    only = MethodTiming("a", side=64, self_tests=complete)
    joined = missing.joined(former, record(only), [only], ["a"], TESTED)
    assert [each.extra_info.self_tests for each in joined.benchmarks] == [complete, None]
    assert missing.of_record(joined, ["a"], TESTED) == {}
    again = MethodTiming("a", side=64, self_tests=late)
    kept = missing.joined(joined, record(again), [again], ["a"], TESTED)
    assert kept.benchmarks == joined.benchmarks


def test_a_fresh_figure_takes_the_place_of_a_former_one() -> None:
    """What could not be measured again keeps its former figure; what was never measured keeps its reason."""
    former = record(
        timed("a", 64, [0.1] * 3), timed("a", 96, [0.3], unfinished=ONLY_FIRST),
        timed("b", 64, [0.5], unfinished=ONLY_FIRST), timed("b", 96, [], problem=NO_TIME),
    )  # fmt: skip
    again = [timed("a", 96, [0.2] * 3), timed("b", 64, [], problem=NO_TIME), timed("b", 96, [], problem="gone")]
    found = missing.joined(former, record(*again), again, ["a", "b"], UNDER)
    shown = [(each.name, each.extra_info.side, each.stats.min) for each in found.benchmarks]
    assert shown == [("a", 64, 0.1), ("a", 96, 0.2), ("b", 64, 0.5)]
    assert found.problems == {"b (96×96, 1 thread)": "gone"}
    assert missing.of_record(found, ["a", "b"], UNDER)["b", 1].sides == (64, 96)


def _timed_at(each: Benchmark, when: str) -> Benchmark:
    return dataclasses.replace(each, extra_info=dataclasses.replace(each.extra_info, timed_at=when))


def test_the_notes_name_what_is_not_finished_and_who_took_turns() -> None:
    """A line for each reason, that the next run measures it, and the times where there are several."""
    first, second = record(timed("a", 64, [0.1] * 3)), record(timed("b", 64, [0.1], unfinished=BUSY))
    both = (
        _timed_at(first.benchmarks[0], "2026-01-01T10:00:00.000Z"),
        _timed_at(second.benchmarks[0], "2026-01-02T11:30:00.000Z"),
    )
    notes = summary.notes(dataclasses.replace(first, benchmarks=both))
    assert notes == [
        f"not finished, {BUSY}: b.",
        "the next run measures what is missing or not finished; the other timings stay.",
        "timed at different times, so that they did not take turns: a (2026-01-01 10:00 UTC); "
        "b (2026-01-02 11:30 UTC).",
    ]
    assert summary.notes(first) == []


@pytest.mark.parametrize(("first", "seconds", "waits", "most", "why"), [
    (1.0, [], [], 30, ONLY_FIRST), (5.0, [5.0], [0.0], 30, ONLY_FIRST), (5.0, [5.0], [0.0], 1, ""),
    (31.0, [31.0], [0.0], 30, ""), (31.0, [31.0], [20.0], 30, BUSY), (1.0, [0.9, 1.0, 1.1], [0.0, 0.5, 0.5], 30, BUSY),
    (1.0, [0.9, 1.0, 1.1], [0.0, 0.0, 0.5], 30, ""),
])  # fmt: skip
def test_why_a_timing_is_not_finished(
    first: float, seconds: list[float], waits: list[float], most: int, why: str
) -> None:
    """A first call that is the only one by rule is finished; calls that waited are not, unless they are the fewer."""
    each = MethodTiming("m", LoadTimes(0.0, first, 0, None), seconds, waits=waits)
    assert phase._unfinished(each, most) == why


def test_what_a_call_takes_is_expected_from_the_size_before() -> None:
    """Measured now or earlier; a size that could not be begun leaves no hope for a larger one."""
    process = TimingProcess("m", 1, None, known={64: 1.0})  # type: ignore[arg-type]
    assert phase._expected(process, 64) is None
    assert phase._expected(process, 128) == pytest.approx(phase.MARGIN * 4.0)
    process.timed.append(MethodTiming("m", side=128))
    assert phase._expected(process, 256) == float("inf")
