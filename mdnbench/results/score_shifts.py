"""How far scores move when the same outputs are scored in another way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.results import tables
from mdnbench.results.table import Column, Table
from mdnbench.store import score_array

if TYPE_CHECKING:
    from mdnbench.results import Results


@dataclass(frozen=True, slots=True)
class ScoringChoice:
    """A way to score: its name, its rule's digest, and its metrics, each with the run's metric to set it beside.

    A rule's metrics stand beside themselves; a metric's setting stands beside the plain metric.
    """

    name: str
    rule: str
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shift:
    """The mean of a method's kept outputs as the run scored them, and scored in another way.

    `beside` is the run's metric and `metric` the one that was scored anew: the same under another rule, or one of its
    settings. `low` and `high` are the smallest and the largest shift of a single output.
    """

    noise: str
    method: str
    metric: str
    beside: str
    way: str
    outputs: int
    as_run: float
    other: float
    low: float
    high: float

    @property
    def shift(self) -> float:
        """The other mean less the run's."""
        return self.other - self.as_run


def shifts_of(found: Results, ways: Sequence[ScoringChoice]) -> Iterator[Shift]:
    """The shifts of every method under every noise, over the outputs that have both scores."""
    before = score_array.read(
        found.store, found.run, dict.fromkeys(name for way in ways for name in way.metrics.values())
    )
    for way in ways:
        after = score_array.read(found.store, found.run, way.metrics, way.rule)
        for metric, beside in way.metrics.items():
            old, new = before.values[beside], after.values[metric]
            for place in np.ndindex(old.shape[:2]):
                both = np.isfinite(old[place]) & np.isfinite(new[place])
                if both.any():
                    mine, theirs = old[place][both], new[place][both]
                    yield Shift(
                        before.noises[place[0]], before.methods[place[1]], metric, beside, way.name, int(both.sum()),
                        float(mine.mean()), float(theirs.mean()), float((theirs - mine).min()),
                        float((theirs - mine).max()),
                    )  # fmt: skip


def tables_of(found: Results, shifts: Sequence[Shift]) -> Iterator[Table]:
    """The means as the run has them, and the shift that each way of scoring brings: a table per noise and metric."""
    columns = {column.name: column for column in tables.columns_of(found.run)}
    for noise, metric in dict.fromkeys((each.noise, each.beside) for each in shifts):
        chosen = [each for each in shifts if (each.noise, each.beside) == (noise, metric)]
        yield _table(noise, columns[metric], chosen)


def _table(noise: str, column: Column, shifts: Sequence[Shift]) -> Table:
    ways = list(dict.fromkeys(each.way for each in shifts))
    by_method: dict[str, dict[str, Shift]] = {}
    for each in shifts:
        by_method.setdefault(each.method, {})[each.way] = each
    moved = [Column(way.removeprefix(column.name), digits=column.digits + 1, signed=True) for way in ways]
    rows = []
    for method, found in by_method.items():
        as_run = next(iter(found.values())).as_run
        rows.append([method, as_run, *(found[way].shift if way in found else None for way in ways)])
    as_run_column = Column("As run", digits=column.digits)
    return Table.of(f"{noise} · {column.title}", (tables.METHOD, as_run_column, *moved), rows)
