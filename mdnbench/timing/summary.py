"""A timing record as a table's texts: what the terminal and reporters show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TITLES = ("Method", "ms", "IQR", "Rounds", "MP/s", "Load s", "First s", "MiB", "Weights")
NOISY = 0.10


def heading(record: Mapping[str, Any]) -> str:
    """What was timed, and on which machine."""
    machine = record["machine_info"]
    group = next((each["group"] for each in record["benchmarks"]), "")
    cpu = machine["cpu"]
    return f"{group} · {cpu['brand_raw']}, {cpu['count']} cores · each method alone in a fresh process"


def cells(record: Mapping[str, Any]) -> list[list[str]]:
    """One row of texts per method, fastest first."""
    return [_row(each) for each in sorted(record["benchmarks"], key=lambda each: each["stats"]["median"])]


def notes(record: Mapping[str, Any]) -> list[str]:
    """Measurements that were noisy, and methods that could not be timed."""
    noisy = [each["name"] for each in record["benchmarks"] if is_noisy(each["stats"])]
    found = [f"{name} was not timed: {problem}" for name, problem in record.get("problems", {}).items()]
    if noisy:
        found.append(f"the measurement was noisy (IQR over {NOISY:.0%} of the median): {', '.join(noisy)}.")
    return found


def is_noisy(stats: Mapping[str, Any]) -> bool:
    """Whether a measurement scatters so much that its median says little."""
    return bool(stats["rounds"] > 1 and stats["iqr"] > NOISY * stats["median"])


def _row(each: Mapping[str, Any]) -> list[str]:
    stats, extra = each["stats"], each["extra_info"]
    parameters = extra["parameters"]
    return [
        each["name"],
        milliseconds(stats["median"]),
        milliseconds(stats["iqr"]) if stats["rounds"] > 1 else "–",
        str(stats["rounds"]),
        three_figures(extra["megapixels_per_s"]),
        f"{extra['load_s']:.2f}",
        f"{extra['first_call_s']:.2f}",
        f"{extra['peak_memory_bytes'] / 2**20:.0f}",
        "–" if parameters is None else f"{parameters / 1e6:.2f} M",
    ]


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, with three figures."""
    return three_figures(seconds * 1000)


def three_figures(value: float) -> str:
    """A number with three figures, never in exponents: 3178, 23.6, 0.0228."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
