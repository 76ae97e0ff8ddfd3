"""Records for tests: whole ones, of which a test says only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from mdnbench.evaluation.protocols import ImageRule
from mdnbench.spec.records import Environment
from mdnbench.spec.timings import Benchmark, CommitInfo, Cpu, ExtraInfo, MachineInfo, Stats, TimingRecord
from mdnbench.store.facts import MethodFacts, MetricFacts, Provenance, Rules, RunFacts

NOISE = "gaussian:sigma=50"
PSNR = MetricFacts("higher", "dB", 2, 0.02, {})
ENVIRONMENT = Environment("0", "0", "3", "Linux", "x86_64", "here", "CPU", 2, 2**30, 1, "cpu", {"numpy": "2"})
FACTS = RunFacts(
    dataset="sk12", dataset_digest="d", dataset_folder="", images={"01": "d" * 64}, protocol="standard",
    protocol_hash="hash", rules=Rules(1, ImageRule(clamp=False), ImageRule(clamp=True, bits=8)), scoring_rule="rule",
    metrics={"psnr": "1"}, scored_as={"psnr": "1"}, metric_facts={"psnr": PSNR}, unavailable={}, seeds=1,
    noise_info="known", noises={NOISE: "1"}, methods={}, named=(), plugins={}, device="cpu", notes=(),
    environment=ENVIRONMENT,
)  # fmt: skip
PROVENANCE = Provenance("1", "1", "rule", {}, "", "", "plugin", "cpu", "here", "0")


def run_facts(methods: Sequence[str] = ("noisy",), metrics: Sequence[str] = ("psnr",), **changes: Any) -> RunFacts:
    """The facts of a run of these methods and metrics, on one image."""
    return replace(
        FACTS,
        **{
            "methods": {name: MethodFacts("1", {}, "nothing") for name in methods},
            "metrics": dict.fromkeys(metrics, "1"),
            "scored_as": dict.fromkeys(metrics, "1"),
            "metric_facts": dict.fromkeys(metrics, PSNR),
            **changes,
        },
    )


def stats(seconds: Sequence[float], **changes: Any) -> Stats:
    """The statistics of these seconds, as far as tests look at them."""
    low, high, middle = min(seconds, default=0.0), max(seconds, default=0.0), median(seconds) if seconds else 0.0
    found = Stats(
        low, high, middle, 0.0, len(seconds), middle, 0.0, low, high, 0, 0, "0;0", low, high, 0.0, sum(seconds),
        tuple(seconds), 1,
    )  # fmt: skip
    return replace(found, **changes)


def benchmark(name: str, group: str = "g", seconds: Sequence[float] | Stats = (1.0,), **extra: Any) -> Benchmark:
    """A method that took these seconds on one thread, with the fields of `extra_info` that matter."""
    known = ExtraInfo(
        side=256, threads=1, load_s=0.5, first_call_s=1.25, warmups=1, warm=True, peak_memory_bytes=3 * 2**20,
        peak_device_bytes=None, device_s=None, parameters=None, file_bytes=None, multiply_adds_per_pixel=None,
        megapixels_per_s=1.0, ms_per_megapixel=1000.0,
    )  # fmt: skip
    made = seconds if isinstance(seconds, Stats) else stats(seconds)
    return Benchmark(group, name, f"{group}::{name}", replace(known, **extra), made)


def timing_record(
    *benchmarks: Benchmark, node: str = "here", problems: Mapping[str, str] | None = None
) -> TimingRecord:
    """A record of these benchmarks, made on the machine of this id."""
    machine = MachineInfo(node, "x86_64", "Linux", "3", Cpu("CPU", 2), {})
    return TimingRecord(machine, CommitInfo("0", "mdnbench", False), benchmarks, problems or {}, "2026-01-01", "0")
