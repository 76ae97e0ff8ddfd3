"""The tables of a run's means: one table per noise, with a row per method, best first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mdnbench.results.table import Cell, CellMark, Column, Table, words
from mdnbench.spec.names import counted, printable
from mdnbench.store.facts import RunFacts
from mdnbench.store.rows import MeanRow, RunRow

LONGEST_REASON = 200

METHOD = words("Method")
SECONDS = Column("s / image", digits=2, minor=True, hint="indicative: measured while cells ran in parallel")
CELLS = Column("Cells", minor=True)

# What a method receives about a known noise, by the `wants` of its spec.
TOLD: Mapping[str, str] = {"noise": "everything", "std": "its standard deviation", "nothing": "nothing"}


def columns_of(run: RunRow) -> tuple[Column, ...]:
    """Return the columns of a run's metrics."""
    return tuple(
        Column(name, each.direction, each.unit, each.digits, run.facts.unavailable.get(name, ""))
        for name, each in run.facts.metric_facts.items()
    )


def of_run(run: RunRow, means: Sequence[MeanRow]) -> tuple[Table, ...]:
    """Return the tables of a run, in the order of its noises."""
    columns = columns_of(run)
    noises = list(dict.fromkeys(row.noise for row in means))
    found = [_table(noise, columns, [row for row in means if row.noise == noise]) for noise in noises]
    return tuple(found) if run.finished else tuple(_unfinished(run, means, found))


def heading(run: RunRow) -> tuple[str, ...]:
    """Return the lines above all tables: data set, protocol, seeds and versions."""
    facts = run.facts
    used = [each.packages for each in facts.methods.values()] + [each.packages for each in facts.metric_facts.values()]
    declared = {name: version for each in used for name, version in each.items()}
    packages = dict(facts.environment.packages)  # the packages of every run come first, then those of plugins
    packages |= {name: declared[name] for name in sorted(declared.keys() - packages.keys())}
    versions = " · ".join(f"{name} {packages[name]}" for name in packages if name in declared.keys() | {"numpy"})
    seeds = counted(facts.seeds, "seed")
    info = "" if facts.noise_info == "known" else f" · noise information {facts.noise_info}"
    return (
        f"data {facts.dataset} ({facts.dataset_digest}), {counted(len(facts.images), 'image')} · "
        f"protocol {facts.protocol} ({facts.protocol_hash}) · {seeds}{info}",
        f"mdnbench {facts.environment.mdnbench} · {versions}",
    )


def footnotes(run: RunRow) -> tuple[str, ...]:
    """Return the notes about the run as a whole.

    They name what was left out, which weights were used, and which methods received more noise information than others.
    """
    absent = [f"{name.upper()} is empty: {reason}" for name, reason in run.facts.unavailable.items()]
    return (*run.facts.notes, *absent, *_noise_info_note(run.facts))


def _noise_info_note(facts: RunFacts) -> Iterator[str]:
    """Yield a note that lists which noise information each method received, if methods differ in it."""
    asking: dict[str, list[str]] = {}
    for method, each in facts.methods.items():
        asking.setdefault(each.wants, []).append(method)
    if facts.noise_info == "known" and len(asking) > 1:
        parts = [f"{what} to {', '.join(asking[wants])}" for wants, what in TOLD.items() if wants in asking]
        yield f"noise information: {'; '.join(parts)}."


def mean_of(row: MeanRow, metric: str) -> float | None:
    """Return the mean of a row by a metric, over its finite values.

    Returns:
        The mean. It is infinite only if all values are infinite and of one sign, because one perfect cell must not hide
        the others. None if there is no value, or if all are infinite and of both signs.

    """
    mean = row.means.get(metric)
    return _infinity(row, metric) if mean is None and row.infinite.get(metric) else mean


def covers(row: MeanRow, metric: str) -> bool:
    """Return whether a mean is over all cells; only such means may be compared.

    A mean over the cells that succeeded, or that were not perfect, is over easier or harder images than the others. If
    all cells are infinite and of one sign, none is left out.
    """
    infinite = row.infinite.get(metric, 0)
    agree = not infinite or (infinite == row.ok and _infinity(row, metric) is not None)
    return row.ok == row.total and metric not in row.unscored and agree


def _infinity(row: MeanRow, metric: str) -> float | None:
    """Return the infinite value of a row's cells; None if they have both signs."""
    below = row.negative.get(metric, 0)
    if not below:
        return math.inf
    return -math.inf if below == row.infinite[metric] else None


def _table(noise: str, columns: tuple[Column, ...], rows: Sequence[MeanRow]) -> Table:
    """Return the table of one noise."""
    values = {row.method: {column.name: mean_of(row, column.name) for column in columns} for row in rows}
    marks = {column.name: marks_of(column, rows, values) for column in columns}
    lines = []
    for row in _best_first(rows, columns, values):
        means = [column.cell(values[row.method][column.name], marks[column.name][row.method]) for column in columns]
        count = str(row.ok) if row.ok == row.total else f"{row.ok} of {row.total}"
        lines.append([row.method, *means, row.seconds, Cell(count, row.ok)])
    return Table.of(noise, (METHOD, *columns, SECONDS, CELLS), lines, _notes(rows, columns))


def marks_of(
    column: Column, rows: Sequence[MeanRow], values: Mapping[str, Mapping[str, float | None]]
) -> dict[str, CellMark]:
    """Return the mark of each method by a metric.

    Methods whose values are equal in the shown digits get the same mark.
    """
    marks: dict[str, CellMark] = {row.method: "" if covers(row, column.name) else "partial" for row in rows}
    shown = {}
    for method, mark in marks.items():
        mean = values[method][column.name]
        if mark != "partial" and mean is not None:
            shown[method] = round(mean, column.digits)
    order = sorted(set(shown.values()), reverse=column.direction == "higher")
    if len(shown) > 1:
        for method, mean in shown.items():
            marks[method] = "best" if mean == order[0] else "second" if mean == order[1] else ""
    return marks


def _best_first(rows: Sequence[MeanRow], columns: Sequence[Column], values: Mapping[str, Any]) -> list[MeanRow]:
    """Return the rows by their first metric, best first; means over only some cells come after those over all."""
    if not columns:
        return list(rows)
    sign = -1 if columns[0].direction == "higher" else 1

    def place(row: MeanRow) -> tuple[bool, bool, float]:
        value = values[row.method][columns[0].name]
        return (value is None, not covers(row, columns[0].name), sign * value if value is not None else 0.0)

    return sorted(rows, key=place)


def _notes(rows: Sequence[MeanRow], columns: Sequence[Column]) -> list[str]:
    """Return notes on cells that are not ok, metrics without a value, and infinite values, with counts and reasons."""
    notes = []
    empty = {column.name for column in columns if column.absent}  # explained once, below all tables
    for row in rows:
        if row.problems:
            listed = [f"{n} {status}{_because(row.reasons.get(status))}" for status, n in row.problems.items()]
            listed += [f"{left} not computed"] if (left := row.total - row.ok - sum(row.problems.values())) else []
            notes.append(f"{row.method}: {row.total - row.ok} of {row.total} cells are missing ({'; '.join(listed)}).")
        for metric, (count, reason) in row.unscored.items():
            if metric not in empty:
                notes.append(
                    f"{row.method}: {metric.upper()} has no value in {count} of {row.ok} cells{_because(reason)}."
                )
        notes += [f"{row.method}: {metric.upper()} is infinite in {text}" for metric, text in _left_out(row)]
    return notes


def _left_out(row: MeanRow) -> Iterator[tuple[str, str]]:
    """Yield the metrics with infinite values that the mean of a row does not show, each with the number of cells."""
    for metric, count in row.infinite.items():
        cells = counted(count, "cell")
        if row.means.get(metric) is not None:
            yield metric, f"{cells}; the mean leaves them out."
        elif mean_of(row, metric) is None:
            yield metric, f"{cells}, of both signs; there is no mean."


def _unfinished(run: RunRow, means: Sequence[MeanRow], found: Sequence[Table]) -> Iterator[Table]:
    """Yield the tables of a run that did not finish, with notes on what is missing.

    The last note lists the noises that have no table.
    """
    shown = {table.caption for table in found}
    absent = [noise for noise in run.facts.noises if noise not in shown]
    for table in found:
        notes = [*table.notes, *_lacking(run, [row for row in means if row.noise == table.caption])]
        if absent and table is found[-1]:
            notes.append(f"the run was not finished: nothing was computed under {', '.join(absent)}.")
        yield replace(table, notes=tuple(notes))


def _lacking(run: RunRow, rows: Sequence[MeanRow]) -> Iterator[str]:
    """Yield a note if cells of the run were not computed."""
    facts = run.facts
    absent = facts.methods.keys() - {row.method for row in rows}
    many = len(absent) * len(facts.images) * facts.seeds + sum(row.total for row in rows)
    left = many - sum(row.ok + sum(row.problems.values()) for row in rows)
    if left:
        yield (
            f"the run was not finished: {left} of {many} cells were not computed, so that means may be over different "
            "images."
        )


def _because(reason: str | None) -> str:
    """Return a reason after a colon, in one line of limited length; an empty text if there is no reason."""
    text = printable(" ".join((reason or "").split())).rstrip(".")
    return f": {text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + '…'}" if text else ""
