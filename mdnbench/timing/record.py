"""Timing records in the JSON format of pytest-benchmark, which `pytest-benchmark compare` can read."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdnbench import __version__
from mdnbench.planning import environment
from mdnbench.spec.timings import Benchmark, CommitInfo, Cpu, ExtraInfo, MachineInfo, Stats, TimingRecord
from mdnbench.store.database import now

if TYPE_CHECKING:
    from mdnbench.spec.records import Environment
    from mdnbench.timing.process import MethodTiming


def make(timed: Sequence[MethodTiming], noise: str, device: str, budget_s: float = 0.0) -> TimingRecord:
    """Return the record of a timing phase, with one benchmark per method and condition.

    Args:
        timed: The measurements, one per method and condition.
        noise: The noise, as its canonical text.
        device: The device.
        budget_s: The budget of the phase, in seconds.

    """
    here, when = environment.here(device), now()
    return TimingRecord(
        machine_info=_machine(here),
        commit_info=CommitInfo(here.revision, "mdnbench", here.revision.endswith("-dirty")),
        benchmarks=tuple(
            _benchmark(each, f"{group(each)}, {device}, {noise}", when, budget_s) for each in timed if each.seconds
        ),
        problems=_problems(timed),
        datetime=when,
        version=f"mdnbench-{__version__}",
    )


def usable_benchmarks(record: TimingRecord) -> list[Benchmark]:
    """Return the benchmarks from which conclusions may be drawn: those of methods that did not fail."""
    return [each for each in record.benchmarks if not each.extra_info.problem]


def group(timed: MethodTiming) -> str:
    """Return the size and the number of threads under which a method was timed, as a text."""
    return _condition(timed.threads, timed.side)


def named(method: str, threads: int, side: int, *, several: bool) -> str:
    """Return a method's name; with `several`, followed by the side in pixels and the number of threads."""
    return f"{method} ({_condition(threads, side)})" if several else method


def _machine(here: Environment) -> MachineInfo:
    """Return the description of the machine."""
    cpu = Cpu(here.cpu, here.cores)
    return MachineInfo(here.machine_id, here.machine, here.os, here.python, cpu, here.packages)


def _condition(threads: int, side: int) -> str:
    """Return a size and a number of threads as a text."""
    return f"{side}×{side}, " + ("1 thread" if threads == 1 else f"{threads} threads")


def _problems(timed: Sequence[MethodTiming]) -> dict[str, str]:
    """Return the reasons why there is no result or no more calls, by method, and by condition if there are several."""
    several = len({(each.side, each.threads) for each in timed}) > 1
    return {
        named(each.method, each.threads, each.side, several=several): each.problem for each in timed if each.problem
    }


def _benchmark(timed: MethodTiming, named: str, timed_at: str, budget_s: float) -> Benchmark:
    """Return the benchmark of one method under one condition."""
    stats = _stats(timed.seconds)
    extra = _extra(timed, stats.median, timed_at, budget_s)
    return Benchmark(named, timed.method, f"{named}::{timed.method}", extra, stats)


def _extra(timed: MethodTiming, seconds: float, timed_at: str, budget_s: float) -> ExtraInfo:
    """Return the values of a benchmark that have no place in pytest-benchmark's format."""
    loaded, megapixels = timed.loaded, timed.side**2 / 1e6
    assert loaded is not None
    return ExtraInfo(
        side=timed.side,
        threads=timed.threads,
        load_s=loaded.load_s,
        first_call_s=loaded.first_call_s,
        warmups=timed.warmups,
        warm=timed.warm,
        peak_memory_bytes=loaded.memory_bytes,
        peak_device_bytes=loaded.device_bytes,
        device_s=statistics.median(timed.device_seconds) if timed.device_seconds else None,
        parameters=loaded.parameters,
        file_bytes=loaded.file_bytes,
        multiply_adds_per_pixel=loaded.multiply_adds,
        megapixels_per_s=megapixels / seconds,
        ms_per_megapixel=1000 * seconds / megapixels,
        self_tests=timed.self_tests,
        problem=timed.problem or None,
        unfinished=timed.unfinished or None,
        waited=_waited(timed),
        timed_at=timed_at,
        budget_s=budget_s,
    )


def _waited(timed: MethodTiming) -> float | None:
    """Return the median share of a call's time in which it waited for a processor; None without counted calls."""
    parts = [waited / taken for taken, waited in zip(timed.seconds, timed.waits, strict=False) if taken > 0]
    return statistics.median(parts) if parts else None


def _stats(seconds: Sequence[float]) -> Stats:
    """Return the statistics of the seconds of all calls, under the names of pytest-benchmark."""
    ordered = sorted(seconds)
    mean, deviation = statistics.mean(ordered), statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    lower, upper = _quartile(ordered), _quartile(ordered[::-1])
    reach = 1.5 * (upper - lower)
    near = [each for each in ordered if lower - reach <= each <= upper + reach] or ordered
    within = sum(mean - deviation <= each <= mean + deviation for each in ordered)
    many, total = len(ordered), sum(seconds)
    far, further = many - within, many - len(near)
    return Stats(
        min=ordered[0], max=ordered[-1], mean=mean, stddev=deviation, rounds=many,
        median=statistics.median(ordered), iqr=upper - lower, q1=lower, q3=upper,
        iqr_outliers=further, stddev_outliers=far, outliers=f"{far};{further}", ld15iqr=near[0],
        hd15iqr=near[-1], ops=many / total if total else 0.0, total=total, data=tuple(seconds), iterations=1,
    )  # fmt: skip


def _quartile(ordered: Sequence[float]) -> float:
    """Return the first quartile of values in rising order, or the third of values in falling order.

    It is computed as in pytest-benchmark.
    """
    quarter, rest = divmod(len(ordered), 4)
    if len(ordered) == 1:
        return ordered[0]
    if rest == 1:
        return 0.25 * ordered[quarter - 1] + 0.75 * ordered[quarter]
    if rest == 3:
        return 0.75 * ordered[quarter] + 0.25 * ordered[quarter + 1]
    return statistics.median(ordered[: len(ordered) // 2])
