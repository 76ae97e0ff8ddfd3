"""How much the scores change if the same outputs are scored in another way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.results import tables
from mdnbench.results.table import Column, Table
from mdnbench.store import score_array

if TYPE_CHECKING:
    from mdnbench.results.run_data import RunData


@dataclass(frozen=True, slots=True)
class ScoringChoice:
    """A way to score outputs: a scoring rule, or a setting of a metric.

    Attributes:
        name: The name of the rule or the setting.
        rule: The digest of the scoring rule.
        metrics: For each metric to score, the run's metric to compare it with. Under another rule this is the same
            metric; for a setting it is the metric without the setting.

    """

    name: str
    rule: str
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shift:
    """The means of a method's kept outputs, as the run scored them and scored in another way.

    Attributes:
        noise: The noise, as its canonical text.
        method: The method, as its canonical text.
        metric: The metric of the other way: the same under another rule, or a setting of it.
        beside: The run's metric.
        way: The name of the other way.
        outputs: The number of outputs that have both scores.
        as_run: The mean as the run scored.
        other: The mean in the other way.
        low: The smallest shift of a single output.
        high: The largest shift of a single output.

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
        """The mean in the other way minus the run's mean."""
        return self.other - self.as_run


def shifts_of(found: RunData, ways: Sequence[ScoringChoice]) -> Iterator[Shift]:
    """Yield the shifts by way of scoring, noise and method, over the outputs that have both scores."""
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


def tables_of(found: RunData, shifts: Sequence[Shift]) -> Iterator[Table]:
    """Yield a table per noise and metric: the run's means, and their shift under each way of scoring."""
    columns = {column.name: column for column in tables.columns_of(found.run)}
    for noise, metric in dict.fromkeys((each.noise, each.beside) for each in shifts):
        chosen = [each for each in shifts if (each.noise, each.beside) == (noise, metric)]
        yield _table(noise, columns[metric], chosen)


def _table(noise: str, column: Column, shifts: Sequence[Shift]) -> Table:
    """Return the table of one noise and one metric."""
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
