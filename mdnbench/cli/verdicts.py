"""A regression check's verdict, on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench.cli import draw
from mdnbench.names import printable
from mdnbench.regression.tolerances import WORDS

if TYPE_CHECKING:
    from rich.console import Console

    from mdnbench.regression import Change, Gate, Verdict
    from mdnbench.regression.slowdown import Pace

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
STYLES = {"regression": "bold red", "slower": "bold red", "improvement": "green", "faster": "green"}
SHOWN = 12  # single images; the rest are counted


def show(verdict: Verdict) -> None:
    """Print the gates as tables, what is missing, single images that fell, what is unlike, and the conclusion."""
    from rich.console import Console

    console = Console(highlight=False)
    for noise, gates in _by(verdict.gates, "noise"):
        _grid(console, noise, TITLES, [(_texts(gate), gate.state) for gate in gates])
    for what, paces in _by(verdict.paces, "what"):
        _grid(console, f"timing · {what}", PACE_TITLES, [(_pace_texts(pace), pace.state) for pace in paces])
    for line in _grounds(verdict):
        draw.say(line, "dim")
    for line in verdict.missing:
        draw.say(line, "red")
    for line in _warnings(verdict):
        draw.say(f"warning: {line}", "yellow")
    draw.say(_conclusion(verdict), "bold")


def show_change(change: Change | None) -> None:
    """Print what a new baseline changes."""
    from rich.console import Console

    console = Console(highlight=False)
    if change is None:
        draw.say("there was no baseline here yet")
        return
    for noise, gates in _by(change.gates, "noise"):
        _grid(console, noise, TITLES[:5], [(_texts(gate)[:5], gate.state) for gate in gates])
    for each in change.differences:
        draw.say(f"changes: {each}")
    means = _many(len(change.gates), "mean changes", "means change") if change.gates else "no mean changes"
    draw.say(f"{means}; {change.added} cells are new, {change.removed} are gone")


def markdown(verdict: Verdict) -> str:
    """The verdict as Markdown, for a CI summary."""
    parts = [f"### {_escape(_conclusion(verdict))}"]
    for noise, gates in _by(verdict.gates, "noise"):
        parts += [f"#### {_escape(noise)}", _markdown_grid(TITLES, map(_texts, gates))]
    for what, paces in _by(verdict.paces, "what"):
        parts += [f"#### timing · {_escape(what)}", _markdown_grid(PACE_TITLES, map(_pace_texts, paces))]
    lines = [*verdict.missing, *(f"warning: {line}" for line in _warnings(verdict)), *_grounds(verdict)]
    parts.append("\n".join(f"- {_escape(line)}" for line in lines))
    return "\n\n".join(filter(None, parts)) + "\n"


def _grounds(verdict: Verdict) -> list[str]:
    """What the tolerances rest on, and what is unlike in the two tables."""
    bases = dict.fromkeys(gate.basis for gate in verdict.gates)
    methods = {basis: dict.fromkeys(gate.method for gate in verdict.gates if gate.basis == basis) for basis in bases}
    tolerances = [f"tolerance {WORDS[basis]}: {', '.join(methods[basis])}" for basis in bases]
    return [*tolerances, *(f"unlike: {each}" for each in verdict.differences)]


def _warnings(verdict: Verdict) -> list[str]:
    more = len(verdict.worst) - SHOWN
    rest = [f"… and {more} more single images (--json has them all)"] if more > 0 else []
    return [*verdict.notes, *verdict.worst[:SHOWN], *rest]


def _texts(gate: Gate) -> list[str]:
    digits = gate.digits + 1
    return [
        gate.method, gate.metric, f"{gate.baseline:.{digits}f}", f"{gate.measured:.{digits}f}",
        f"{gate.change:+.{digits}f}", f"{gate.tolerance:g}", str(gate.cells), MARKS[gate.state],
    ]  # fmt: skip


def _pace_texts(pace: Pace) -> list[str]:
    calls = f"{pace.calls[0]}, {pace.calls[1]}"
    return [
        pace.method, f"{pace.baseline_s * 1000:.3g}", f"{pace.measured_s * 1000:.3g}", f"{pace.ratio:.2f}",
        f"{1 + pace.share:.2f}", f"{pace.p:.2g}", calls, MARKS[pace.state],
    ]  # fmt: skip


def _conclusion(verdict: Verdict) -> str:
    found = [
        _many(count, *what)
        for count, what in (
            (len(verdict.regressions), ("mean fell", "means fell")),
            (len(verdict.slower), ("method became slower", "methods became slower")),
            (len(verdict.missing), ("cell, method or noise is missing", "cells, methods or noises are missing")),
        )
        if count
    ]
    judgement = ", ".join(found) or "no regression"
    rose = _many(len(verdict.improvements), "mean rose", "means rose")
    stale = f"; {rose}: the baseline is stale" if verdict.improvements else ""
    timing = f"; {verdict.untimed.removesuffix('.')}" if verdict.untimed else ""
    compared = _many(len(verdict.gates), "mean", "means")
    return f"{verdict.run} against {verdict.baseline}: {judgement} ({compared} compared){stale}{timing}"


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _by(items: Iterable[Any], field: str) -> list[tuple[str, list[Any]]]:
    """The items grouped by a field, in the order of its first appearance."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(getattr(item, field), []).append(item)
    return list(groups.items())


def _grid(console: Console, title: str, titles: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(titles):
        left = index == 0 or name in ("", "Metric")
        grid.add_column(name, justify="left" if left else "right", overflow="fold", no_wrap=not name)
    for texts, state in rows:
        grid.add_row(*map(Text, texts), style=STYLES.get(state, ""))
    console.print(grid)


def _markdown_grid(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)


def _escape(text: str) -> str:
    """A text with nothing left that Markdown or HTML would take for markup."""
    if text == "---":
        return text
    text = printable(text.replace("\n", " "))
    for mark in "\\`*_[]|#":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("<", "&lt;")
