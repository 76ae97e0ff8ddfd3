"""A regression check's verdict, on the terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdnbench.regression import Gate, Verdict

TITLES = ("Noise", "Method", "Metric", "Baseline", "Measured", "Change", "Tolerance", "Cells", "")
MARKS = {"pass": "pass", "regression": "REGRESSION", "improvement": "better: stale baseline?", "missing": "missing"}
STYLES = {"regression": "bold red", "improvement": "green"}


def draw(verdict: Verdict) -> None:
    """Print the gates as a table, what is missing, single images that fell, and the conclusion."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(TITLES):
        grid.add_column(title, justify="left" if index < 3 or index == 8 else "right", overflow="fold")
    for gate in verdict.gates:
        grid.add_row(*map(Text, _texts(gate)), style=STYLES.get(gate.state, ""))
    console.print(grid)
    for line in verdict.missing:
        console.print(line, style="red", markup=False)
    for line in verdict.worst:
        console.print(f"warning: {line}", style="yellow", markup=False)
    console.print(_conclusion(verdict), style="bold", markup=False)


def markdown(verdict: Verdict) -> str:
    """The verdict as Markdown, for a CI summary."""
    rows = [TITLES, ["---"] * len(TITLES), *(_texts(gate) for gate in verdict.gates)]
    grid = "\n".join("| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows)
    lists = [f"- {_escape(line)}" for line in verdict.missing] + [f"- warning: {_escape(x)}" for x in verdict.worst]
    return "\n\n".join(filter(None, [f"### {_escape(_conclusion(verdict))}", grid, "\n".join(lists)])) + "\n"


def _texts(gate: Gate) -> list[str]:
    digits = gate.digits + 1
    return [
        gate.noise, gate.method, gate.metric, f"{gate.baseline:.{digits}f}", f"{gate.measured:.{digits}f}",
        f"{gate.change:+.{digits}f}", f"{gate.tolerance:g}", str(gate.cells), MARKS[gate.state],
    ]  # fmt: skip


def _conclusion(verdict: Verdict) -> str:
    fell, lost = len(verdict.regressions), len(verdict.missing)
    judgement = "no regression" if not verdict.exit_code else f"{fell} means fell, {lost} cells or methods are missing"
    return f"{verdict.run} against {verdict.baseline}: {judgement} ({len(verdict.gates)} means compared)"


def _escape(text: str) -> str:
    return text if text == "---" else text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
