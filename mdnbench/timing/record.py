"""A timing record in pytest-benchmark's JSON format, so that `pytest-benchmark compare` reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mdnbench import __version__, environment
from mdnbench.store.database import now
from mdnbench.timing.phase import Timed


def make(timed: Sequence[Timed], pixels: int, group: str, device: str) -> dict[str, Any]:
    """The record of a timing phase: one benchmark per method, with what it holds beyond seconds in `extra_info`."""
    facts = environment.facts(device)
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
        "benchmarks": [_benchmark(each, pixels, group) for each in timed if each.seconds],
        "problems": {each.method: each.problem for each in timed if not each.seconds},
        "datetime": now(),
        "version": f"mdnbench-{__version__}",
    }


def _benchmark(timed: Timed, pixels: int, group: str) -> dict[str, Any]:
    loaded = timed.loaded
    assert loaded is not None
    stats = _stats(timed.seconds)
    return {
        "group": group,
        "name": timed.method,
        "fullname": f"{group}::{timed.method}",
        "params": None,
        "param": None,
        "extra_info": {
            "load_s": loaded.load_s,
            "first_call_s": loaded.first_call_s,
            "peak_memory_bytes": loaded.memory_bytes,
            "parameters": loaded.parameters,
            "megapixels_per_s": pixels / 1e6 / stats["median"],
        },
        "options": {"disable_gc": False, "timer": "perf_counter", "min_rounds": 1, "warmup": True},
        "stats": stats,
    }


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    from pytest_benchmark.stats import Stats

    stats = Stats()
    for each in seconds:
        stats.update(each)
    table = stats.as_dict() | {"data": list(seconds), "iterations": 1}
    return {key: _plain(value) for key, value in table.items()}


def _plain(value: Any) -> Any:
    return 0.0 if isinstance(value, float) and not math.isfinite(value) else value
