"""The results of a regression check, their tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mdnbench.analysis.regression.compatibility import Difference
from mdnbench.analysis.regression.slowdown import SpeedChange
from mdnbench.analysis.regression.tolerances import WORDS, ToleranceBasis
from mdnbench.errors import NothingToDo
from mdnbench.results import numbers
from mdnbench.results.render import html
from mdnbench.results.table import Cell, CellMark, Column, Table, words

MARKS = {
    "pass": "pass",
    "regression": "REGRESSION",
    "improvement": "better",
    "slower": "SLOWER",
    "faster": "faster",
    "undecided": "too few calls to tell",
}
JUDGED = {"regression": "got worse", "improvement": "got better", "pass": "passes"}
SHOWN = 12  # single images that are listed; the others are counted
CAUSES = 6  # causes that are listed for one mean; the others are counted
GRADES: dict[str, CellMark] = {"regression": "worse", "slower": "worse", "improvement": "better", "faster": "better"}

State = Literal["pass", "regression", "improvement"]


@dataclass(frozen=True, slots=True)
class Gate:
    """The mean of one method, noise and metric, compared with its baseline.

    Attributes:
        baseline: The mean in the baseline.
        measured: The mean in the run.
        tolerance: By how much the mean may change.
        cells: The number of cells that both means are over.
        digits: The number of decimals that tables show of the metric.
        basis: The reason for the tolerance.
        direction: 'higher' or 'lower', whichever is better.
        causes: What may explain a mean that got worse or better: differences between the run and the baseline, the
            strongest evidence first.
    """

    noise: str
    method: str
    metric: str
    baseline: float
    measured: float
    tolerance: float
    cells: int
    state: State
    digits: int
    basis: ToleranceBasis = "given"
    direction: str = "higher"
    causes: tuple[Difference, ...] = ()

    @property
    def change(self) -> float:
        """The measured mean minus that of the baseline."""
        return 0.0 if self.measured == self.baseline else self.measured - self.baseline


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a regression check.

    Attributes:
        baseline: The baseline's path without an ending.
        run: The run's name.
        gates: The compared means, which decide.
        missing: Cells of the baseline that the run lacks or in which it failed. They count as regressions.
        worst: Single cells that got worse by more than the tolerance. They are only warnings.
        differences: What differs between the run and the baseline.
        notes: What was not compared, and other warnings.
        speeds: The comparisons of timings, if they were requested.
        untimed: Why no timings were compared although they were requested.
    """

    baseline: str
    run: str
    gates: tuple[Gate, ...]
    missing: tuple[str, ...]
    worst: tuple[str, ...]
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    speeds: tuple[SpeedChange, ...] = ()
    untimed: str = ""

    @property
    def regressions(self) -> tuple[Gate, ...]:
        """The means that got worse by more than the tolerance."""
        return tuple(gate for gate in self.gates if gate.state == "regression")

    @property
    def improvements(self) -> tuple[Gate, ...]:
        """The means that got better by more than the tolerance, so the baseline is out of date."""
        return tuple(gate for gate in self.gates if gate.state == "improvement")

    @property
    def slower(self) -> tuple[SpeedChange, ...]:
        """The methods that became slower."""
        return tuple(pace for pace in self.speeds if pace.state == "slower")

    @property
    def exit_code(self) -> int:
        """The exit code of the check.

        It is 1 if a mean got worse, a method became slower or cells are missing. Otherwise it is 5 if timings were
        requested but not compared, and 0 if not.
        """
        if self.regressions or self.missing or self.slower:
            return 1
        return NothingToDo.exit_code if self.untimed else 0

    def _repr_html_(self) -> str:
        """Return the verdict as HTML for a notebook: the conclusion first, and regressions in bold."""
        lines = (*causes(self), *self.missing, *warnings(self, ".worst"), *grounds(self))
        tables = map(html.render, tables_of(self))
        return html.block([html.paragraph(conclusion(self)), *tables, *map(html.paragraph, lines)])


@dataclass(frozen=True, slots=True)
class Change:
    """What replacing a baseline with a run changes.

    Attributes:
        gates: The means that change.
        added: The number of cells that are only in the run.
        removed: The number of cells that are only in the earlier baseline.
        differences: What differs between the run and the earlier baseline.
    """

    gates: tuple[Gate, ...]
    added: int
    removed: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """A baseline that was written.

    Attributes:
        baseline: Its path without an ending.
        change: What changed, or None if it is the first baseline at this path.
    """

    baseline: str
    change: Change | None


# -- tables ------------------------------------------------------------------------------------------------------------


def tables_of(verdict: Verdict) -> list[Table]:
    """Return the tables of a verdict: the means of each noise, then the timings."""
    return [*of_gates(verdict.gates), *(_of_paces(what, speeds) for what, speeds in _by(verdict.speeds, "what"))]


def of_gates(gates: Iterable[Gate]) -> list[Table]:
    """Return means next to their baselines, in a table for each noise."""
    columns = (words("Method"), words("Metric"), *map(Column, ("Baseline", "Measured", "Change", "Allowed", "Cells")),
               words("State"))  # fmt: skip
    return [Table.of(noise, columns, map(_gate, group)) for noise, group in _by(gates, "noise")]


def _gate(gate: Gate) -> list[Cell | str | float]:
    shown = Column(gate.metric, digits=gate.digits + 1)
    change = Cell(numbers.fixed(gate.change, shown.digits, signed=True), gate.change)
    return [
        gate.method, gate.metric, shown.cell(gate.baseline), shown.cell(gate.measured), change,
        Cell(f"{gate.tolerance:g}", gate.tolerance), gate.cells, _state(gate.state),
    ]  # fmt: skip


def _of_paces(what: str, speeds: Iterable[SpeedChange]) -> Table:
    columns = (words("Method"), Column("Baseline ms"), Column("Measured ms"), Column("Ratio", digits=2),
               Column("Allowed", digits=2), Column("p"), Column("Calls"), words("State"))  # fmt: skip
    rows = [
        [pace.method, _milliseconds(pace.baseline_s), _milliseconds(pace.measured_s), pace.ratio, 1 + pace.share,
         Cell(numbers.p_value(pace.p), pace.p), f"{pace.calls[0]}, {pace.calls[1]}", _state(pace.state)]
        for pace in speeds
    ]  # fmt: skip
    return Table.of(f"timing · {what}", columns, rows)


def _milliseconds(seconds: float) -> Cell:
    return Cell(numbers.milliseconds(seconds), seconds * 1000)


def _state(state: str) -> Cell:
    return Cell(MARKS[state], mark=GRADES.get(state, ""))


def _by(items: Iterable[Any], field: str) -> list[tuple[str, list[Any]]]:
    """Group items by a field, in the order of its first appearance."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(getattr(item, field), []).append(item)
    return list(groups.items())


# -- sentences ---------------------------------------------------------------------------------------------------------


def causes(verdict: Verdict) -> list[str]:
    """Return which means got worse or better, and what may explain it, with a line for each set of causes."""
    groups: dict[tuple[str, str], list[str]] = {}
    for gate in verdict.gates:
        if gate.state != "pass":
            name = f"{gate.metric} of {gate.method} ({gate.noise})"
            groups.setdefault((JUDGED[gate.state], changed(gate.causes)), []).append(name)
    return [f"{judged}: {', '.join(names)}; {why}" for (judged, why), names in groups.items()]


def changed(found: Sequence[Difference]) -> str:
    """Return in words what has changed."""
    if not found:
        return "nothing has changed that the baseline and the run both know of"
    more = f"; and {len(found) - CAUSES} more" if len(found) > CAUSES else ""
    return f"what changed: {'; '.join(map(str, found[:CAUSES]))}{more}"


def grounds(verdict: Verdict) -> list[str]:
    """Return lines with the reasons for the tolerances, and with the differences between the run and the baseline."""
    bases = dict.fromkeys(gate.basis for gate in verdict.gates)
    methods = {basis: dict.fromkeys(gate.method for gate in verdict.gates if gate.basis == basis) for basis in bases}
    tolerances = [f"tolerance {WORDS[basis]}: {', '.join(methods[basis])}" for basis in bases]
    return [*tolerances, *(f"unlike: {each}" for each in verdict.differences)]


def warnings(verdict: Verdict, where_all: str) -> list[str]:
    """Return lines with the notes and the first single images that got worse.

    Args:
        verdict: The result of the check.
        where_all: Where the reader finds the images that are not listed.
    """
    more = len(verdict.worst) - SHOWN
    rest = [f"… and {more} more single images ({where_all} has them all)"] if more > 0 else []
    return [f"warning: {line}" for line in (*verdict.notes, *verdict.worst[:SHOWN], *rest)]


def conclusion(verdict: Verdict) -> str:
    """Return the verdict in one sentence."""
    found = [
        many(count, *what)
        for count, what in (
            (len(verdict.regressions), ("mean got worse", "means got worse")),
            (len(verdict.slower), ("method became slower", "methods became slower")),
            (len(verdict.missing), ("cell, method or noise is missing", "cells, methods or noises are missing")),
        )
        if count
    ]
    if verdict.regressions:
        found[0] += _moved(verdict.regressions)
    judgement = ", ".join(found) or "no regression"
    better = many(len(verdict.improvements), "mean got better", "means got better") + _moved(verdict.improvements)
    stale = f"; {better}: the baseline is stale" if verdict.improvements else ""
    timing = f"; {verdict.untimed.removesuffix('.')}" if verdict.untimed else ""
    compared = many(len(verdict.gates), "mean", "means")
    against = f"{verdict.run} against {verdict.baseline}"
    return f"{against}: {judgement} ({compared} compared){stale}{_kinds(verdict)}{timing}"


def _moved(gates: Sequence[Gate]) -> str:
    """Return in words how many of these means fell and how many rose; the metric's direction decides which is worse."""
    fell, rose = sum(gate.change < 0 for gate in gates), sum(gate.change > 0 for gate in gates)
    words = [many(count, f"mean {what}", f"means {what}") for count, what in ((fell, "fell"), (rose, "rose")) if count]
    return f" ({', '.join(words)})" if words else ""


def _kinds(verdict: Verdict) -> str:
    """Return in words which kinds of changes may explain the means that changed, the strongest evidence first."""
    found = {each.kind for gate in verdict.gates for each in gate.causes}
    kinds = dict.fromkeys(each.kind for each in verdict.differences if each.kind in found)
    return f"; what changed: {', '.join(kinds)}" if kinds else ""


def many(count: int, one: str, several: str) -> str:
    """Return a count with its word in the singular or plural."""
    return f"{count} {one if count == 1 else several}"
