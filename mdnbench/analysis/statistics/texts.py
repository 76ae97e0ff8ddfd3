"""A comparison in words and tables of text, for a terminal and for a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdnbench.results.markup import Texts

if TYPE_CHECKING:
    from mdnbench.analysis.statistics.comparison import Comparison, Family
    from mdnbench.analysis.statistics.paired import Pair

SHOWN = 15  # pairs; beyond, only those with the best method


def heading(found: Comparison) -> str:
    """What was compared: runs, data set, protocol."""
    return f"{', '.join(found.runs)} · data {found.dataset} · protocol {found.protocol}"


def means(family: Family) -> Texts:
    """The means with their intervals, numbered, best first."""
    rows = [
        (str(number), mean.method, family.column.show(mean.mean), _interval(family, mean.low, mean.high),
         str(mean.cells + mean.infinite))
        for number, mean in enumerate(family.means, start=1)
    ]  # fmt: skip
    return Texts(("", "Method", "Mean", "95 %", "Cells"), rows)


def records(family: Family) -> Texts:
    """Who won, tied and lost how often against whom, over the cells; empty where nothing was paired."""
    names = [mean.method for mean in family.means]
    rows = [
        (str(number), name, *(family.record(name, other) or "·" for other in names))
        for number, name in enumerate(names, start=1)
    ]
    titles = ("", "Wins/ties/losses", *(f"vs {number}" for number in range(1, len(names) + 1)))
    return Texts(titles, rows if family.pairs else [])


def pairs(family: Family, shown: Sequence[Pair]) -> Texts:
    """The differences of pairs with their intervals, and their tests where these could have come out either way."""
    titles = ("First", "Second", "Difference", "95 %", "p (Holm)", "", "Detectable")
    return Texts(titles, [_pair(family, each) for each in shown])


def pairs_shown(family: Family, *, all_pairs: bool = False) -> list[Pair]:
    """Every pair, or those with the best method where there are many."""
    best = family.means[0].method
    return [
        pair for pair in family.pairs if all_pairs or len(family.pairs) <= SHOWN or best in (pair.first, pair.second)
    ]


def _pair(family: Family, pair: Pair) -> tuple[str, ...]:
    digits = family.column.digits + 1
    difference = "–" if math.isnan(pair.difference) else f"{pair.difference:+.{digits}f}"  # no cell in common
    return (
        pair.first, pair.second, difference, _interval(family, pair.low, pair.high, signed=True),
        _p(pair.p_holm if family.testable else None), "*" if pair.significant else "",
        "–" if pair.detectable is None or not family.testable else f"{pair.detectable:.{digits}f}",
    )  # fmt: skip


def _interval(family: Family, low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return "–"
    digits = family.column.digits + signed
    return f"{low:{'+' if signed else ''}.{digits}f} to {high:{'+' if signed else ''}.{digits}f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "<0.0001" if value < 0.0001 else f"{value:.2g}"
