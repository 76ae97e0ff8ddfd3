"""Decide whether methods became slower, by comparing two timing records of one machine.

A method counts as slower or faster only if both the ratio of the medians and a rank test show it. Each alone raises
false alarms: on a busy machine medians differ by chance, and with many calls the smallest shift is significant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from mdnbench.spec.timings import Benchmark, TimingRecord

SHARE = 0.25  # the default: a median may grow by a quarter
LEVEL = 0.01  # of the rank test: with many methods and commits, 0.05 would raise a false alarm every day

SpeedState = Literal["pass", "slower", "faster", "undecided"]


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """A method's seconds per call, compared with the baseline's.

    Attributes:
        method: The method.
        what: The conditions of the timing, in words.
        baseline_s: The median of the baseline in seconds.
        measured_s: The median of the run in seconds.
        share: The share by which the median may change.
        p: The p-value of the rank test.
        calls: The numbers of calls, of the baseline and of the run.
        state: The result. `undecided` means that the medians differ, but there are too few calls for any rank test.
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
        """The measured median divided by the baseline's."""
        return self.measured_s / self.baseline_s


def compare(
    run: TimingRecord | None, baseline: TimingRecord | None, share: float = SHARE
) -> tuple[tuple[SpeedChange, ...], str]:
    """Compare the seconds of all methods that both records timed under the same conditions.

    Args:
        run: The timing record of the run, or None if it has none.
        baseline: The timing record of the baseline, or None if it has none.
        share: By which share a median may change, 0.25 for a quarter.

    Returns:
        The comparisons, and the reason why nothing could be compared, which is empty if something was.
    """
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
    """Return the finished benchmarks of a record that took a positive time, by name."""
    return {
        each.fullname: each
        for each in record.benchmarks
        if min(each.stats.data, default=0) > 0 and not each.extra_info.unfinished
    }


def _obstacle(run: TimingRecord | None, baseline: TimingRecord | None) -> str:
    """Return why two records cannot be compared; empty if they can."""
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
    # With so few calls the smallest possible p is above LEVEL.
    if 2 / math.comb(len(old) + len(new), len(old)) > LEVEL:
        return "undecided"
    if p > LEVEL:
        return "pass"
    return "slower" if ratio > 1 else "faster"


def rank_p(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the two-sided p-value of the Mann–Whitney test, from 0 to 1.

    The p-value is the probability that chance alone ranks the calls at least so unevenly.
    """
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(after, before).pvalue)
