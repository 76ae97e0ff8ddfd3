"""A regression check's verdict in words and tables of texts, for the terminal, for Markdown and for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mdnbench.analysis.regression.tolerances import WORDS
from mdnbench.results import markup

if TYPE_CHECKING:
    from mdnbench.analysis.regression.likeness import Difference
    from mdnbench.analysis.regression.slowdown import Pace
    from mdnbench.analysis.regression.verdict import Gate, Verdict

TITLES = ("Method", "Metric", "Baseline", "Measured", "Change", "Allowed", "Cells", "")
PACE_TITLES = ("Method", "Baseline ms", "Measured ms", "Ratio", "Allowed", "p", "Calls", "")
MARKS = {
    "pass": "pass",
    "regression": "REGRESSION",
    "improvement": "better",
    "slower": "SLOWER",
    "faster": "faster",
    "undecided": "too few calls to tell",
}
BAD = ("regression", "slower")
JUDGED = {"regression": "got worse", "improvement": "got better", "pass": "passes"}
SHOWN = 12  # single images; the rest are counted
CAUSES = 6  # for one mean; the rest are counted


class Graded(NamedTuple):
    """A table of texts whose rows have a state each."""

    title: str
    titles: Sequence[str]
    rows: Sequence[tuple[Sequence[str], str]]


def tables(verdict: Verdict) -> list[Graded]:
    """The gates under each noise, then those of timing."""
    paces = (
        Graded(f"timing · {what}", PACE_TITLES, [(_pace(each), each.state) for each in group])
        for what, group in _by(verdict.paces, "what")
    )
    return [*of_gates(verdict.gates), *paces]


def of_gates(gates: Iterable[Gate]) -> list[Graded]:
    """Means beside their baselines, a table for each noise."""
    return [
        Graded(noise, TITLES, [(_gate(each), each.state) for each in group]) for noise, group in _by(gates, "noise")
    ]


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


def html(verdict: Verdict) -> str:
    """The verdict as a notebook shows it: the conclusion first, and what is bad in bold."""
    parts = [markup.paragraph(conclusion(verdict))]
    for table in tables(verdict):
        rows = [[*texts[:-1], (texts[-1], "b") if state in BAD else texts[-1]] for texts, state in table.rows]
        parts.append(markup.grid(table.titles, rows, caption=table.title))
    lines = (*causes(verdict), *verdict.missing, *warnings(verdict, ".worst"), *grounds(verdict))
    return markup.block([*parts, *map(markup.paragraph, lines)])


def _gate(gate: Gate) -> list[str]:
    digits = gate.digits + 1
    return [
        gate.method, gate.metric, f"{gate.baseline:.{digits}f}", f"{gate.measured:.{digits}f}",
        f"{gate.change:+.{digits}f}", f"{gate.tolerance:g}", str(gate.cells), MARKS[gate.state],
    ]  # fmt: skip


def _pace(pace: Pace) -> list[str]:
    calls = f"{pace.calls[0]}, {pace.calls[1]}"
    return [
        pace.method, f"{pace.baseline_s * 1000:.3g}", f"{pace.measured_s * 1000:.3g}", f"{pace.ratio:.2f}",
        f"{1 + pace.share:.2f}", f"{pace.p:.2g}", calls, MARKS[pace.state],
    ]  # fmt: skip


def _by(items: Iterable[Any], field: str) -> list[tuple[str, list[Any]]]:
    """The items grouped by a field, in the order of its first appearance."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(getattr(item, field), []).append(item)
    return list(groups.items())
