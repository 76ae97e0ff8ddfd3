"""Grids: every method under every noise at a glance, and what a method gains from being told about the noise."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from mdnbench.results import tables
from mdnbench.results.table import Cell, Column, Table, words
from mdnbench.spec.records import NoiseInfoSource
from mdnbench.store import manifests, row_checks
from mdnbench.util.slugs import is_slug

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.store import MeanRow, RunRow, Store
    from mdnbench.store.facts import RunFacts

MANY = 3  # a run with more noises than this is shown as grids
SHARED = ("dataset_digest", "protocol_hash", "seeds", "device")  # facts that runs side by side have in common
WIDE = 8  # columns; beyond, the longer axis runs down

GridKey = tuple[str, str]  # a method and a noise


@dataclass(frozen=True, slots=True)
class NoiseInfoRow:
    """What a method reached under a noise by what it was told of it: means by source, over the same noisy images."""

    noise: str
    method: str
    column: Column
    means: Mapping[str, float]

    @property
    def matters(self) -> bool:
        """Whether the sources differ in a digit that is shown."""
        return len({self.column.show(mean) for mean in self.means.values()}) > 1


@dataclass(frozen=True, slots=True)
class NoiseInfoComparison:
    """Runs that differ in the noise information alone, side by side: the runs by source, and the means."""

    runs: Mapping[str, str]
    rows: tuple[NoiseInfoRow, ...]


def of_run(run: RunRow, means: Sequence[MeanRow]) -> tuple[Table, ...]:
    """Return one table per metric, of methods and noises in the run's order, with the best of each noise marked.

    The longer axis runs down where there are many columns. A cell's shade is how near the best under its noise it is.
    """
    return tuple(_grid(column, means) for column in tables.columns_of(run) if not column.absent)


def short(noises: Sequence[str]) -> dict[str, str]:
    """Noises without the names of their parameters, `mixed:25,60`, wherever that leaves no two alike."""
    plain = {noise: re.sub(r"[^:,=]+=", "", noise) for noise in noises}
    return plain if len(set(plain.values())) == len(plain) else {noise: noise for noise in noises}


def by_noise_info(found: Results) -> NoiseInfoComparison | None:
    """A run beside the newest ones that differ from it in the noise information alone; None where there are none."""
    runs = {found.run.facts.noise_info: found, **_siblings(found)}
    if len(runs) < 2:
        return None
    ordered = {source: runs[source] for source in get_args(NoiseInfoSource) if source in runs}
    rows = tuple(_noise_info_rows(ordered))
    return NoiseInfoComparison({source: each.name for source, each in ordered.items()}, rows) if rows else None


def table_of(found: Results) -> Table | None:
    """Return what methods gain from being told about the noise; None where no stored run differs in that alone."""
    known = by_noise_info(found)
    rows = [row for row in known.rows if row.matters] if known else []
    if known is None or not rows:
        return None
    columns = (tables.METHOD, words("Noise"), words("Metric"), *map(Column, known.runs))
    lines = [
        [row.method, row.noise, row.column.title, *(row.column.cell(row.means.get(source)) for source in known.runs)]
        for row in rows
    ]
    runs = ", ".join(f"{name} ({source})" for source, name in known.runs.items())
    note = f"Runs: {runs}. Methods that it makes no difference to are left out."
    return Table.of("Noise information", columns, lines, [note])


def _grid(column: Column, means: Sequence[MeanRow]) -> Table:
    methods = list(dict.fromkeys(row.method for row in means))
    noises = list(dict.fromkeys(row.noise for row in means))
    cells = {place: cell for noise in noises for place, cell in _cells(column, noise, means)}
    labels = short(noises)
    if len(noises) > WIDE and len(noises) > len(methods):
        across = (words("Noise"), *map(Column, methods))
        down = [[labels[noise], *(cells.get((method, noise)) for method in methods)] for noise in noises]
        return Table.of(column.title, across, down)
    across = (tables.METHOD, *map(Column, labels.values()))
    rows = [[method, *(cells.get((method, noise)) for noise in noises)] for method in methods]
    return Table.of(column.title, across, rows)


def _cells(column: Column, noise: str, means: Sequence[MeanRow]) -> Iterator[tuple[GridKey, Cell]]:
    """The cells of one noise by their place, the best marked, each with its shade."""
    rows = [row for row in means if row.noise == noise]
    values = {row.method: {column.name: tables.mean_of(row, column.name)} for row in rows}
    marks = tables.marks_of(column, rows, values)
    finite = [value for each in values.values() if (value := each[column.name]) is not None and math.isfinite(value)]
    for method, each in values.items():
        value, mark = each[column.name], marks[method]
        shade = near(value, finite, column.direction)
        yield (method, noise), Cell(column.show(value), value, "best" if mark == "best" else "", shade)


def near(value: float | None, others: Sequence[float], direction: str) -> float | None:
    """Return how near the best of these finite values one is, from 0 (the worst) to 1; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    best, worst = (max(others), min(others)) if direction == "higher" else (min(others), max(others))
    return 1.0 if best == worst else (value - worst) / (best - worst)


def _siblings(found: Results) -> dict[str, Results]:
    """The newest finished run of each other noise information, alike in all else that makes numbers."""
    mine = found.run.facts
    siblings: dict[str, Results] = {}
    for name in found.store.run_names():
        run = found.store.run(name)
        if run is None or not run.finished or not is_slug(name):
            continue
        row_checks.require_facts(found.store, run)
        if run.facts.noise_info in (mine.noise_info, *siblings):
            continue
        if _comparable(run.facts, mine) and _of_one_code(found.store, run, found.run):
            siblings[run.facts.noise_info] = found.neighbour(name)
    return siblings


def _comparable(one: RunFacts, other: RunFacts) -> bool:
    """Whether two runs have data, protocol, seeds and device in common, and some metrics, noises and methods.

    Those that both have must be of one version.
    """
    if any(getattr(one, name) != getattr(other, name) for name in SHARED):
        return False
    return (
        _agree(one.metrics, other.metrics) and _agree(one.noises, other.noises) and _agree(one.methods, other.methods)
    )


def _agree(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two tables have some names in common, and the same under each of these."""
    both = one.keys() & other.keys()
    return bool(both) and all(one[name] == other[name] for name in both)


def _of_one_code(store: Store, one: RunRow, other: RunRow) -> bool:
    """Whether the methods that two runs have in common were the same code in both."""
    both = [method for method in one.facts.methods if method in other.facts.methods]
    return not any(
        manifests.contradict(manifests.of_run(store, one.id, method), manifests.of_run(store, other.id, method))
        for method in both
    )


def _whole(found: Results) -> dict[str, dict[GridKey, float]]:
    """A run's means that are over every cell, by metric, method and noise."""
    names = [column.name for column in tables.columns_of(found.run) if not column.absent]
    means: dict[str, dict[GridKey, float]] = {name: {} for name in names}
    for row in found.means:
        for name in names:
            mean = tables.mean_of(row, name)
            if mean is not None and tables.covers(row, name):
                means[name][row.method, row.noise] = mean
    return means


def _noise_info_rows(found: Mapping[str, Results]) -> Iterator[NoiseInfoRow]:
    """The rows that at least two sources have: by metric, noise and method in the first run's order."""
    first = next(iter(found.values()))
    whole = {source: _whole(each) for source, each in found.items()}
    noises = dict.fromkeys(row.noise for row in first.means)
    methods = dict.fromkeys(row.method for row in first.means)
    for column in tables.columns_of(first.run):
        for noise, method in itertools.product(noises, methods):
            means = {}
            for source, by_metric in whole.items():
                mean = by_metric.get(column.name, {}).get((method, noise))
                if mean is not None:
                    means[source] = mean
            if len(means) > 1:
                yield NoiseInfoRow(noise, method, column, means)
