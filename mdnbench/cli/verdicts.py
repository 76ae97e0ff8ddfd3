"""A regression check's verdict, on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mdnbench.analysis.regression import texts
from mdnbench.cli import draw
from mdnbench.spec.names import printable

if TYPE_CHECKING:
    from rich.console import Console

    from mdnbench.analysis.regression import Change, Verdict

ALL = "--json"  # where everything is that the terminal only counts
STYLES = {"regression": "bold red", "slower": "bold red", "improvement": "green", "faster": "green"}


def show(verdict: Verdict) -> None:
    """Print the gates as tables, what is missing, single images that fell, what is unlike, and the conclusion."""
    from rich.console import Console

    console = Console(highlight=False)
    for table in texts.tables(verdict):
        _grid(console, *table)
    for line in texts.causes(verdict):
        draw.say(line)
    for line in texts.grounds(verdict):
        draw.say(line, "dim")
    for line in verdict.missing:
        draw.say(line, "red")
    for line in texts.warnings(verdict, ALL):
        draw.say(line, "yellow")
    draw.say(texts.conclusion(verdict), "bold")


def show_change(change: Change | None) -> None:
    """Print what a new baseline changes."""
    from rich.console import Console

    console = Console(highlight=False)
    if change is None:
        draw.say("there was no baseline here yet")
        return
    for title, titles, rows in texts.of_gates(change.gates):
        _grid(console, title, titles[:5], [(row[:5], state) for row, state in rows])
    for each in change.differences:
        draw.say(f"changes: {each}")
    means = texts.many(len(change.gates), "mean changes", "means change") if change.gates else "no mean changes"
    draw.say(f"{means}; {change.added} cells are new, {change.removed} are gone")


def markdown(verdict: Verdict) -> str:
    """The verdict as Markdown, for a CI summary."""
    parts = [f"### {_escape(texts.conclusion(verdict))}"]
    for title, titles, rows in texts.tables(verdict):
        parts += [f"#### {_escape(title)}", _markdown_grid(titles, [row for row, _ in rows])]
    lines = [*texts.causes(verdict), *verdict.missing, *texts.warnings(verdict, ALL), *texts.grounds(verdict)]
    parts.append("\n".join(f"- {_escape(line)}" for line in lines))
    return "\n\n".join(filter(None, parts)) + "\n"


def _grid(console: Console, title: str, titles: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(titles):
        left = index == 0 or name in ("", "Metric")
        grid.add_column(name, justify="left" if left else "right", overflow="fold", no_wrap=not name)
    for cells, state in rows:
        grid.add_row(*map(Text, cells), style=STYLES.get(state, ""))
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
