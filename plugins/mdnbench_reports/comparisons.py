"""Whether the best method is really better: its paired differences to the others, image by image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdnbench.errors import NothingToDo
from mdnbench_reports.grid import Grid

if TYPE_CHECKING:
    from mdnbench.analysis.statistics import Family
    from mdnbench.analysis.statistics.paired import Pair
    from mdnbench.results import Results

MOST_PAIRS = 3000  # of methods and noises: testing more would take longer than all the rest of a page

TITLES = ("Method", "Mean", "95 % interval", "To the best", "95 % interval", "W/T/L", "p")


def of(results: Results) -> list[Grid]:
    """For each noise the methods by the first metric, and how far each is from the best; empty for a single method."""
    from mdnbench.analysis import statistics

    first = next((name for name in results.metrics if name not in results.run.facts.unavailable), None)
    if first is None or left_out(results):
        return []
    try:
        families = statistics.compare([results], metrics=(first,)).families
    except NothingToDo:
        return []
    return [
        Grid(f"{family.column.title}, {family.noise}", TITLES, list(_rows(family)), statistics.sentences(family))
        for family in families
        if family.pairs
    ]


def left_out(results: Results) -> int:
    """The pairs of methods under all noises that are too many for a page; 0 where it compares them."""
    methods, noises = len(results.run.facts.methods), len(results.run.facts.noises)
    pairs = noises * methods * (methods - 1) // 2
    return pairs if pairs > MOST_PAIRS else 0


def _rows(family: Family) -> Iterator[tuple[str, ...]]:
    best = family.means[0].method
    to_best = {pair.second: pair for pair in family.pairs if pair.first == best}
    for mean in family.means:
        shown = (mean.method, family.column.show(mean.mean), _interval(mean.low, mean.high, family))
        pair = to_best.get(mean.method)
        yield (*shown, *_difference(pair, family)) if pair else (*shown, "–", "–", "–", "–")


def _difference(pair: Pair, family: Family) -> tuple[str, ...]:
    """A method less the best: the difference, its interval, the method's wins, ties and losses, and p."""
    low, high = (None if end is None else -end for end in (pair.high, pair.low))
    record = family.record(pair.second, pair.first)
    known = pair.p_holm if family.testable else None
    p = "–" if known is None else "<0.0001" if known < 0.0001 else f"{known:.2g}"
    star = " *" if pair.significant else ""
    none = math.isnan(pair.difference)  # no cell has a finite score by both
    difference = "–" if none else _minus(f"{-pair.difference:+.{family.column.digits}f}")
    return (difference, _interval(low, high, family, "+"), record, p + star)


def _interval(low: float | None, high: float | None, family: Family, sign: str = "") -> str:
    digits = family.column.digits
    return "–" if low is None or high is None else _minus(f"{low:{sign}.{digits}f} to {high:{sign}.{digits}f}")


def _minus(text: str) -> str:
    return text.replace("-", "−")
