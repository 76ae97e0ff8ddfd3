"""What a regression check found, and how it is said: means beside their baselines, and what may explain a change."""

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
SHOWN = 12  # single images; the rest are counted
CAUSES = 6  # for one mean; the rest are counted
GRADES: dict[str, CellMark] = {"regression": "worse", "slower": "worse", "improvement": "better", "faster": "better"}

State = Literal["pass", "regression", "improvement"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One mean held against its baseline: a method under a noise by one metric, over so many paired cells.

    `direction` is the metric's, 'higher' or 'lower' for what is better. `causes` may explain a mean that got worse or
    better: what the run does not share with the baseline, the strongest evidence first.
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
        """Measured less baseline."""
        return 0.0 if self.measured == self.baseline else self.measured - self.baseline


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    `gates` decide; `missing` are cells of the baseline that the run lacks or failed at, and count as regressions;
    `worst` are single cells that fell, which only warn; `differences` are what makes the two tables unlike; `notes`
    say what was left out. `speeds` are the timing gates, where they were asked for, and `untimed` why there are none.
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
        """The means that got worse beyond the tolerance."""
        return tuple(gate for gate in self.gates if gate.state == "regression")

    @property
    def improvements(self) -> tuple[Gate, ...]:
        """The means that got better beyond the tolerance: the baseline is stale."""
        return tuple(gate for gate in self.gates if gate.state == "improvement")

    @property
    def slower(self) -> tuple[SpeedChange, ...]:
        """The methods that became slower."""
        return tuple(pace for pace in self.speeds if pace.state == "slower")

    @property
    def exit_code(self) -> int:
        """1 if a mean got worse, a method slower, or cells are gone; 5 if timing was asked for in vain; else 0."""
        if self.regressions or self.missing or self.slower:
            return 1
        return NothingToDo.exit_code if self.untimed else 0

    def _repr_html_(self) -> str:
        """Return the verdict as a notebook shows it: the conclusion first, and what is bad in bold."""
        lines = (*causes(self), *self.missing, *warnings(self, ".worst"), *grounds(self))
        tables = map(html.render, tables_of(self))
        return html.block([html.paragraph(conclusion(self)), *tables, *map(html.paragraph, lines)])


@dataclass(frozen=True, slots=True)
class Change:
    """What writing a run over a baseline changes: means, cells that come and go, and what lies behind the numbers."""

    gates: tuple[Gate, ...]
    added: int
    removed: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """A baseline that was written anew: its path without an ending, and what changed; None if it is the first one."""

    baseline: str
    change: Change | None


# -- tables ------------------------------------------------------------------------------------------------------------


def tables_of(verdict: Verdict) -> list[Table]:
    """Return the gates under each noise, then those of timing."""
    return [*of_gates(verdict.gates), *(_of_paces(what, speeds) for what, speeds in _by(verdict.speeds, "what"))]


def of_gates(gates: Iterable[Gate]) -> list[Table]:
    """Return means beside their baselines, a table for each noise."""
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
    """The items grouped by a field, in the order of its first appearance."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(getattr(item, field), []).append(item)
    return list(groups.items())


# -- sentences ---------------------------------------------------------------------------------------------------------


def causes(verdict: Verdict) -> list[str]:
    """Which means got worse or better, and what has changed that may explain it: a line for each set of causes."""
    groups: dict[tuple[str, str], list[str]] = {}
    for gate in verdict.gates:
        if gate.state != "pass":
            name = f"{gate.metric} of {gate.method} ({gate.noise})"
            groups.setdefault((JUDGED[gate.state], changed(gate.causes)), []).append(name)
    return [f"{judged}: {', '.join(names)}; {why}" for (judged, why), names in groups.items()]


def changed(found: Sequence[Difference]) -> str:
    """What has changed, in words."""
    if not found:
        return "nothing has changed that the baseline and the run both know of"
    more = f"; and {len(found) - CAUSES} more" if len(found) > CAUSES else ""
    return f"what changed: {'; '.join(map(str, found[:CAUSES]))}{more}"


def grounds(verdict: Verdict) -> list[str]:
    """What the tolerances rest on, and what is unlike in the two tables."""
    bases = dict.fromkeys(gate.basis for gate in verdict.gates)
    methods = {basis: dict.fromkeys(gate.method for gate in verdict.gates if gate.basis == basis) for basis in bases}
    tolerances = [f"tolerance {WORDS[basis]}: {', '.join(methods[basis])}" for basis in bases]
    return [*tolerances, *(f"unlike: {each}" for each in verdict.differences)]


def warnings(verdict: Verdict, where_all: str) -> list[str]:
    """What was left out, and the first single images that fell; `where_all` says where the others are."""
    more = len(verdict.worst) - SHOWN
    rest = [f"… and {more} more single images ({where_all} has them all)"] if more > 0 else []
    return [f"warning: {line}" for line in (*verdict.notes, *verdict.worst[:SHOWN], *rest)]


def conclusion(verdict: Verdict) -> str:
    """The verdict in a sentence."""
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
    """How many of these means fell and how many rose: by the metric's direction, either may be for the worse."""
    fell, rose = sum(gate.change < 0 for gate in gates), sum(gate.change > 0 for gate in gates)
    words = [many(count, f"mean {what}", f"means {what}") for count, what in ((fell, "fell"), (rose, "rose")) if count]
    return f" ({', '.join(words)})" if words else ""


def _kinds(verdict: Verdict) -> str:
    """What kinds of things have changed behind the means that are no pass, the strongest evidence first."""
    found = {each.kind for gate in verdict.gates for each in gate.causes}
    kinds = dict.fromkeys(each.kind for each in verdict.differences if each.kind in found)
    return f"; what changed: {', '.join(kinds)}" if kinds else ""


def many(count: int, one: str, several: str) -> str:
    """A count with its words."""
    return f"{count} {one if count == 1 else several}"
