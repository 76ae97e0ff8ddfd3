"""Grids: tables of methods against noises, and a comparison of runs that differ in the noise information alone."""

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
    from mdnbench.results.run_data import RunData
    from mdnbench.store import MeanRow, RunRow, Store
    from mdnbench.store.facts import RunFacts

MANY = 3  # a run with more noises than this is shown as grids
SHARED = ("dataset_digest", "protocol_hash", "seeds", "device")  # facts that are equal in comparable runs
WIDE = 8  # columns; if a grid has more, its longer axis becomes the rows

GridKey = tuple[str, str]  # a method and a noise


@dataclass(frozen=True, slots=True)
class NoiseInfoRow:
    """The means of one method under one noise by one metric, with different noise information.

    Attributes:
        noise: The noise, as its canonical text.
        method: The method, as its canonical text.
        column: The metric's column.
        means: The mean for each source of noise information: `known`, `estimated` or `withheld`. All are over the same
            noisy images.

    """

    noise: str
    method: str
    column: Column
    means: Mapping[str, float]

    @property
    def matters(self) -> bool:
        """Whether the means differ in a digit that is shown."""
        return len({self.column.show(mean) for mean in self.means.values()}) > 1


@dataclass(frozen=True, slots=True)
class NoiseInfoComparison:
    """Runs that differ in the noise information alone.

    Attributes:
        runs: The name of the run for each source of noise information.
        rows: The means of these runs, by metric, noise and method.

    """

    runs: Mapping[str, str]
    rows: tuple[NoiseInfoRow, ...]


def of_run(run: RunRow, means: Sequence[MeanRow]) -> tuple[Table, ...]:
    """Return one grid per metric, with methods and noises in the run's order and the best method of each noise marked.

    The longer axis becomes the rows if there are many columns. A cell's shade shows how close it is to the best method
    under its noise.
    """
    return tuple(_grid(column, means) for column in tables.columns_of(run) if not column.absent)


def short(noises: Sequence[str]) -> dict[str, str]:
    """Return short names of noises, by their full names.

    Args:
        noises: The noises, as canonical texts.

    Returns:
        The texts without the names of parameters, as `mixed:25,60`. If two noises would get the same text, all keep
        their full names.

    """
    plain = {noise: re.sub(r"[^:,=]+=", "", noise) for noise in noises}
    return plain if len(set(plain.values())) == len(plain) else {noise: noise for noise in noises}


def by_noise_info(found: RunData) -> NoiseInfoComparison | None:
    """Compare a run with the newest stored runs that differ from it in the noise information alone.

    Returns:
        The comparison, or None if there is no such run or if the runs have no complete means in common.

    """
    runs = {found.run.facts.noise_info: found, **_siblings(found)}
    if len(runs) < 2:
        return None
    ordered = {source: runs[source] for source in get_args(NoiseInfoSource) if source in runs}
    rows = tuple(_noise_info_rows(ordered))
    return NoiseInfoComparison({source: each.name for source, each in ordered.items()}, rows) if rows else None


def table_of(found: RunData) -> Table | None:
    """Return a table that shows how much methods improve with more noise information.

    Returns:
        The table, without rows that are equal in all shown digits. None if there are no other rows or no run to compare
        with.

    """
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
    """Return the grid of one metric."""
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
    """Yield the cells of one noise, each with its method and noise: the best is marked, and each has a shade."""
    rows = [row for row in means if row.noise == noise]
    values = {row.method: {column.name: tables.mean_of(row, column.name)} for row in rows}
    marks = tables.marks_of(column, rows, values)
    finite = [value for each in values.values() if (value := each[column.name]) is not None and math.isfinite(value)]
    for method, each in values.items():
        value, mark = each[column.name], marks[method]
        shade = near(value, finite, column.direction)
        yield (method, noise), Cell(column.show(value), value, "best" if mark == "best" else "", shade)


def near(value: float | None, others: Sequence[float], direction: str) -> float | None:
    """Return how close a value is to the best of several.

    Args:
        value: The value.
        others: All finite values, from which the best and the worst are taken.
        direction: `higher` or `lower`, for the values that are better.

    Returns:
        A number from 0, for the worst, to 1, for the best. None if the value is missing or infinite.

    """
    if value is None or not math.isfinite(value):
        return None
    best, worst = (max(others), min(others)) if direction == "higher" else (min(others), max(others))
    return 1.0 if best == worst else (value - worst) / (best - worst)


def _siblings(found: RunData) -> dict[str, RunData]:
    """Return the newest finished run for each other source of noise information, with everything else comparable."""
    mine = found.run.facts
    siblings: dict[str, RunData] = {}
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
    """Return whether two runs have the same data, protocol, seeds and device, and share metrics, noises and methods.

    The versions of what they share must be equal.
    """
    if any(getattr(one, name) != getattr(other, name) for name in SHARED):
        return False
    return (
        _agree(one.metrics, other.metrics) and _agree(one.noises, other.noises) and _agree(one.methods, other.methods)
    )


def _agree(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether two mappings have names in common, with equal values under all of these names."""
    both = one.keys() & other.keys()
    return bool(both) and all(one[name] == other[name] for name in both)


def _of_one_code(store: Store, one: RunRow, other: RunRow) -> bool:
    """Return whether the methods that two runs share had the same code in both."""
    both = [method for method in one.facts.methods if method in other.facts.methods]
    return not any(
        manifests.contradict(manifests.of_run(store, one.id, method), manifests.of_run(store, other.id, method))
        for method in both
    )


def _whole(found: RunData) -> dict[str, dict[GridKey, float]]:
    """Return the means of a run that are over all cells, by metric, then by method and noise."""
    names = [column.name for column in tables.columns_of(found.run) if not column.absent]
    means: dict[str, dict[GridKey, float]] = {name: {} for name in names}
    for row in found.means:
        for name in names:
            mean = tables.mean_of(row, name)
            if mean is not None and tables.covers(row, name):
                means[name][row.method, row.noise] = mean
    return means


def _noise_info_rows(found: Mapping[str, RunData]) -> Iterator[NoiseInfoRow]:
    """Yield the means that at least two runs have, by metric, noise and method in the first run's order."""
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
