"""Grids: every method under every noise at a glance, and what a method gains from being told about the noise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from mdnbench.results import tables
from mdnbench.spec.records import Source
from mdnbench.store import contents, manifests
from mdnbench.util.slugs import is_slug

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.tables import Column
    from mdnbench.store import MeanRow, RunRow, Store
    from mdnbench.store.facts import RunFacts

MANY = 3  # a run with more noises than this is shown as grids
SHARED = ("dataset_digest", "protocol_hash", "seeds", "device")  # facts that runs side by side have in common
WIDE = 8  # columns; beyond, the longer axis runs down

Place = tuple[str, str]  # a method and a noise
Values = Mapping[Place, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """The means of one metric: `values` by (method, noise), None where there is none, and the best of each noise."""

    column: Column
    methods: tuple[str, ...]
    noises: tuple[str, ...]
    values: Values
    best: frozenset[Place]

    def show(self, method: str, noise: str) -> str:
        """One value as text, after a star where it is the best under its noise."""
        mark = "*" if (method, noise) in self.best else ""
        return mark + self.column.show(self.values.get((method, noise)))

    def near(self, method: str, noise: str) -> float | None:
        """How near the best under its noise a value is, from 0 (the worst) to 1; None where it is not finite."""
        value = self.values.get((method, noise))
        others = [each for (_, under), each in self.values.items() if under == noise and math.isfinite(each)]
        if value is None or not math.isfinite(value):
            return None
        best, worst = (max(others), min(others)) if self.column.direction == "higher" else (min(others), max(others))
        return 1.0 if best == worst else (value - worst) / (best - worst)


@dataclass(frozen=True, slots=True)
class Told:
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
class Knowledge:
    """Runs that differ in the noise information alone, side by side: the runs by source, and the means."""

    runs: Mapping[str, str]
    rows: tuple[Told, ...]


def of_run(run: RunRow, means: Sequence[MeanRow]) -> tuple[Grid, ...]:
    """One grid per metric; methods and noises in the run's order."""
    return tuple(_grid(column, means) for column in tables.columns_of(run) if not column.absent)


def texts(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """The titles and rows of a grid, the longer axis running down where there are many columns."""
    titles, rows = layout(grid)
    return titles, [[label, *(grid.show(*place) for place in places)] for label, places in rows]


def layout(grid: Grid) -> tuple[list[str], list[tuple[str, list[Place]]]]:
    """The titles of a grid's columns, and its rows: a label and the (method, noise) of each square."""
    labels = short(grid.noises)
    if len(grid.noises) > WIDE and len(grid.noises) > len(grid.methods):
        down = [(labels[noise], [(method, noise) for method in grid.methods]) for noise in grid.noises]
        return ["Noise", *grid.methods], down
    return ["Method", *labels.values()], [(each, [(each, noise) for noise in grid.noises]) for each in grid.methods]


def short(noises: Sequence[str]) -> dict[str, str]:
    """Noises without the names of their parameters, `mixed:25,60`, wherever that leaves no two alike."""
    plain = {noise: re.sub(r"[^:,=]+=", "", noise) for noise in noises}
    return plain if len(set(plain.values())) == len(plain) else {noise: noise for noise in noises}


def by_noise_info(found: Results) -> Knowledge | None:
    """A run beside the newest ones that differ from it in the noise information alone; None where there are none."""
    runs = {found.run.facts.noise_info: found, **_siblings(found)}
    if len(runs) < 2:
        return None
    ordered = {source: runs[source] for source in get_args(Source) if source in runs}
    means = {source: _grids_of(each) for source, each in ordered.items()}
    rows = tuple(_told(means))
    return Knowledge({source: each.name for source, each in ordered.items()}, rows) if rows else None


def _grid(column: Column, means: Sequence[MeanRow]) -> Grid:
    values = {
        (row.method, row.noise): mean for row in means if (mean := tables.mean_of(row, column.metric)) is not None
    }
    noises = tuple(dict.fromkeys(row.noise for row in means))
    methods = tuple(dict.fromkeys(row.method for row in means))
    whole = {(row.method, row.noise) for row in means if tables.covers(row, column.metric)}
    ranked = {place: mean for place, mean in values.items() if place in whole}
    best = frozenset(place for noise in noises for place in _best(column, noise, ranked))
    return Grid(column, methods, noises, values, best)


def _best(column: Column, noise: str, values: Values) -> Iterator[Place]:
    shown = {place: round(mean, column.digits) for place, mean in values.items() if place[1] == noise}
    if len(shown) > 1:
        top = max(shown.values()) if column.direction == "higher" else min(shown.values())
        yield from (place for place, mean in shown.items() if mean == top)


def _siblings(found: Results) -> dict[str, Results]:
    """The newest finished run of each other noise information, alike in all else that makes numbers."""
    mine = found.run.facts
    siblings: dict[str, Results] = {}
    for name in found.store.run_names():
        run = found.store.run(name)
        if run is None or not run.finished or not is_slug(name):
            continue
        contents.require_facts(found.store, run)
        if run.facts.noise_info in (mine.noise_info, *siblings):
            continue
        if _alike(run.facts, mine) and _of_one_code(found.store, run, found.run):
            siblings[run.facts.noise_info] = found.neighbour(name)
    return siblings


def _alike(one: RunFacts, other: RunFacts) -> bool:
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


def _grids_of(found: Results) -> dict[str, Grid]:
    """A run's grids by metric, of the means that are over every cell."""
    columns = [column for column in tables.columns_of(found.run) if not column.absent]
    return {
        column.metric: _grid(column, [row for row in found.means if tables.covers(row, column.metric)])
        for column in columns
    }


def _told(means: Mapping[str, Mapping[str, Grid]]) -> Iterator[Told]:
    """The rows that at least two sources have: by metric, noise and method in the first run's order."""
    first = next(iter(means.values()))
    for metric, grid in first.items():
        for noise in grid.noises:
            for method in grid.methods:
                found = {
                    source: mean
                    for source, grids in means.items()
                    if metric in grids and (mean := grids[metric].values.get((method, noise))) is not None
                }
                if len(found) > 1:
                    yield Told(noise, method, grid.column, found)
