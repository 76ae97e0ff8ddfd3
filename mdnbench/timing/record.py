"""A timing record in pytest-benchmark's JSON format, so that `pytest-benchmark compare` reads it."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench import __version__
from mdnbench.planning import environment
from mdnbench.store.database import now

if TYPE_CHECKING:
    from mdnbench.timing.process import Timed


def make(timed: Sequence[Timed], noise: str, device: str, budget_s: float = 0.0) -> dict[str, Any]:
    """The record of a timing phase that had `budget_s` seconds: one benchmark per method and condition.

    What has no place in the format stands in `extra_info`.
    """
    facts, when = environment.facts(device), now()
    session = {"timed_at": when, "budget_s": budget_s}
    return {
        "machine_info": {
            "node": facts["machine_id"],
            "machine": facts["machine"],
            "system": facts["os"],
            "python_version": facts["python"],
            "cpu": {"brand_raw": facts["cpu"], "count": facts["cores"]},
            "packages": facts["packages"],
        },
        "commit_info": {"id": facts["revision"], "project": "mdnbench", "dirty": facts["revision"].endswith("-dirty")},
        "benchmarks": [
            _benchmark(each, f"{group(each)}, {device}, {noise}", session) for each in timed if each.seconds
        ],
        "problems": _problems(timed),
        "datetime": when,
        "version": f"mdnbench-{__version__}",
    }


def sound(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The benchmarks that conclusions are drawn from: those of methods that did not break on the way."""
    return [each for each in record["benchmarks"] if not each["extra_info"].get("problem")]


def group(timed: Timed) -> str:
    """The size and the threads that something was timed under."""
    return _condition(timed.threads, timed.side)


def named(method: str, threads: int, side: int, *, several: bool) -> str:
    """Return a method's name, with the side in pixels and the threads where it is timed under several conditions."""
    return f"{method} ({_condition(threads, side)})" if several else method


def tests_of(timed: Timed) -> dict[str, Any] | None:
    """Return what the self-tests found as a record keeps it."""
    return dataclasses.asdict(timed.self_tests) if timed.self_tests else None


def _condition(threads: int, side: int) -> str:
    return f"{side}×{side}, " + ("1 thread" if threads == 1 else f"{threads} threads")


def _problems(timed: Sequence[Timed]) -> dict[str, str]:
    """Why there are no seconds, or no more, by method, and by condition where there are several."""
    several = len({(each.side, each.threads) for each in timed}) > 1
    return {
        named(each.method, each.threads, each.side, several=several): each.problem for each in timed if each.problem
    }


def _benchmark(timed: Timed, named: str, session: dict[str, Any]) -> dict[str, Any]:
    stats = _stats(timed.seconds)
    return {
        "group": named,
        "name": timed.method,
        "fullname": f"{named}::{timed.method}",
        "params": None,
        "param": None,
        "extra_info": _extra(timed, stats["median"]) | session,
        "options": {"disable_gc": False, "timer": "perf_counter", "min_rounds": 1, "warmup": True},
        "stats": stats,
    }


def _extra(timed: Timed, seconds: float) -> dict[str, Any]:
    loaded, megapixels = timed.loaded, timed.side**2 / 1e6
    assert loaded is not None
    return {
        "side": timed.side,
        "threads": timed.threads,
        "load_s": loaded.load_s,
        "first_call_s": loaded.first_call_s,
        "warmups": timed.warmups,
        "warm": timed.warm,
        "peak_memory_bytes": loaded.memory_bytes,
        "peak_device_bytes": loaded.device_bytes,
        "device_s": statistics.median(timed.device_seconds) if timed.device_seconds else None,
        "parameters": loaded.parameters,
        "file_bytes": loaded.file_bytes,
        "multiply_adds_per_pixel": loaded.multiply_adds,
        "megapixels_per_s": megapixels / seconds,
        "ms_per_megapixel": 1000 * seconds / megapixels,
        "self_tests": tests_of(timed),
        "problem": timed.problem or None,
        "unfinished": timed.unfinished or None,
        "waited": _waited(timed),
    }


def _waited(timed: Timed) -> float | None:
    """The part of a call for which it waited for a processor, by the median call; None where no call was counted."""
    parts = [waited / taken for taken, waited in zip(timed.seconds, timed.waits, strict=False) if taken > 0]
    return statistics.median(parts) if parts else None


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the statistics that pytest-benchmark has for the seconds of each call, in its words."""
    ordered = sorted(seconds)
    mean, deviation = statistics.mean(ordered), statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    lower, upper = _quartile(ordered), _quartile(ordered[::-1])
    reach = 1.5 * (upper - lower)
    near = [each for each in ordered if lower - reach <= each <= upper + reach] or ordered
    within = sum(mean - deviation <= each <= mean + deviation for each in ordered)
    many, total = len(ordered), sum(seconds)
    far, further = many - within, many - len(near)
    return {
        "min": ordered[0], "max": ordered[-1], "mean": mean, "stddev": deviation, "rounds": many,
        "median": statistics.median(ordered), "iqr": upper - lower, "q1": lower, "q3": upper,
        "iqr_outliers": further, "stddev_outliers": far, "outliers": f"{far};{further}", "ld15iqr": near[0],
        "hd15iqr": near[-1], "ops": many / total if total else 0.0, "total": total, "data": list(seconds),
        "iterations": 1,
    }  # fmt: skip


def _quartile(ordered: Sequence[float]) -> float:
    """Return the quartile at the beginning of values in rising order, or in falling order, as pytest-benchmark does."""
    quarter, rest = divmod(len(ordered), 4)
    if len(ordered) == 1:
        return ordered[0]
    if rest == 1:
        return 0.25 * ordered[quarter - 1] + 0.75 * ordered[quarter]
    if rest == 3:
        return 0.75 * ordered[quarter] + 0.25 * ordered[quarter + 1]
    return statistics.median(ordered[: len(ordered) // 2])
