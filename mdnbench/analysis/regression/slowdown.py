"""Whether methods became slower: two timing records of one machine, by the ratio of medians and by a rank test.

Either alone cries wolf: on a busy machine medians differ by chance, and with many calls the slightest shift is
significant. Both together are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from mdnbench.spec.timings import Benchmark, TimingRecord

SHARE = 0.25  # a median may grow by a quarter
LEVEL = 0.01  # the rank test's: with many methods and many pushes, one in twenty would cry wolf every day

SpeedState = Literal["pass", "slower", "faster", "undecided"]


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """A method's seconds per call held against the baseline's: medians, their ratio, the rank test's p-value.

    `undecided` says that the medians differ and that there were too few calls for any rank test to tell.
    """

    method: str
    what: str
    baseline_s: float
    measured_s: float
    share: float
    p: float
    calls: tuple[int, int]
    state: SpeedState

    @property
    def ratio(self) -> float:
        """Measured over baseline."""
        return self.measured_s / self.baseline_s


def compare(
    run: TimingRecord | None, baseline: TimingRecord | None, share: float = SHARE
) -> tuple[tuple[SpeedChange, ...], str]:
    """The speeds of all methods that both records timed alike, and why nothing could be compared where nothing was."""
    if problem := _obstacle(run, baseline):
        return (), problem
    assert run is not None
    assert baseline is not None
    before, after = _timed(baseline), _timed(run)
    pairs = [(before[name], each) for name, each in after.items() if name in before]
    speeds = tuple(_speed_change(old, new, share) for old, new in pairs)
    if not speeds:
        return (), "timing was asked for, and no method was timed in both under the same conditions."
    if all(pace.state == "undecided" for pace in speeds):
        return speeds, "timing was asked for, and there were too few calls to tell anything."
    return speeds, ""


def _timed(record: TimingRecord) -> dict[str, Benchmark]:
    """The benchmarks of a record that have seconds and are finished, by name."""
    return {
        each.fullname: each
        for each in record.benchmarks
        if min(each.stats.data, default=0) > 0 and not each.extra_info.unfinished
    }


def _obstacle(run: TimingRecord | None, baseline: TimingRecord | None) -> str:
    if baseline is None:
        return "timing was asked for, and the baseline has none; write it anew from a timed run (--update)."
    if run is None:
        return "timing was asked for, and the run was not timed; run it without --no-timing."
    mine, theirs = run.machine_info.node, baseline.machine_info.node
    if mine != theirs:
        return f"timing was asked for, and seconds are only compared on one machine: {mine} here, {theirs} there."
    return ""


def _speed_change(before: Benchmark, after: Benchmark, share: float) -> SpeedChange:
    old, new = before.stats.data, after.stats.data
    was, now = median(old), median(new)
    p = rank_p(old, new)
    return SpeedChange(after.name, after.group, was, now, share, p, (len(old), len(new)), _state(old, new, share, p))


def _state(old: Sequence[float], new: Sequence[float], share: float, p: float) -> SpeedState:
    ratio = median(new) / median(old)
    if 1 / (1 + share) <= ratio <= 1 + share:
        return "pass"
    if 2 / math.comb(len(old) + len(new), len(old)) > LEVEL:  # even if every call were slower than every other
        return "undecided"
    if p > LEVEL:
        return "pass"
    return "slower" if ratio > 1 else "faster"


def rank_p(before: Sequence[float], after: Sequence[float]) -> float:
    """The two-sided p-value of Mann and Whitney's test: how easily chance alone ranks the calls so unevenly."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(after, before).pvalue)
