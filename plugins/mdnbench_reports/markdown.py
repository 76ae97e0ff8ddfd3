"""Markdown tables: one per noise, best in bold, second underlined, then timing and printed numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.results import grids, tables
from mdnbench.spec.names import printable
from mdnbench.util import atomic
from mdnbench_reports import claims, timings

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.grids import Knowledge, Told
    from mdnbench.results.tables import Column, Line, Table


def write(results: Results, folder: Path) -> Path:
    """Write `table.md` and return its path."""
    path = folder / "table.md"
    atomic.write(path, text_of(results))
    return path


def text_of(results: Results) -> str:
    """All tables of a run as one Markdown text."""
    parts = [f"# {escape(results.name)}", *map(escape, tables.heading(results.run))]
    parts += _grids(results)
    for table in results.tables:
        parts += [f"## {escape(table.noise)}", _table(table), *(f"*{escape(note)}*" for note in table.notes)]
    timed = timings.of(results)
    timed += timings.against_quality(results)
    parts += ["## Timing"] if timed else []
    for grid in timed:
        parts += [escape(grid.title), *([_grid(grid.titles, grid.rows)] if grid.rows else [])]
        parts += [f"*{escape(note)}*" for note in grid.notes]
    parts += _claims(results)
    parts += [f"*{escape(note)}*" for note in tables.footnotes(results.run)]
    return "\n\n".join(parts) + "\n"


def _grids(results: Results) -> list[str]:
    """Every method under every noise, where there are many, and what methods gain from being told about the noise."""
    parts = []
    for grid in grids.of_run(results.run, results.means) if len(results.tables) > grids.MANY else ():
        titles, rows = grids.texts(grid)
        parts += [f"## {escape(grid.column.title)}", _grid(titles, [[row[0], *map(_bold, row[1:])] for row in rows])]
    if known := grids.by_noise_info(results):
        rows = [
            [f"{row.method}, {row.noise}", row.column.title, *_means(row, known)] for row in known.rows if row.matters
        ]
        runs = ", ".join(f"{name} ({source})" for source, name in known.runs.items())
        titles = ["Method, noise", "Metric", *known.runs]
        parts += ["## Noise information", escape(f"runs {runs}"), _grid(titles, rows)] if rows else []
    return parts


def _claims(results: Results) -> list[str]:
    """Published and claimed numbers beside this run's means, where there are any; single images are left out."""
    section = claims.of(results, images=False)
    if section is None:
        return []
    parts = []
    for grid in section.grids:
        rows = [[row[0], *map(escape, row[1:])] for row in grid.rows]
        words = set(range(len(grid.titles))) - grid.numeric
        parts += [f"## {escape(grid.title)}", _grid(grid.titles, rows, words), *map(escape, grid.notes)]
    return [*parts, *(f"*{escape(note)}*" for note in section.notes)]


def _bold(text: str) -> str:
    return f"**{text[1:]}**" if text.startswith("*") else text


def _means(row: Told, known: Knowledge) -> list[str]:
    return [row.column.show(row.means.get(source)) for source in known.runs]


def escape(text: str) -> str:
    """A text in one line, with everything made plain that Markdown, also GitHub's, or HTML takes for markup."""
    return re.sub(r"([\\`*_~$&\[\]<>|#])", r"\\\1", printable(" ".join(text.split())))


def _table(table: Table) -> str:
    titles = ["Method", *(column.title for column in table.columns), "s / image", "Cells"]
    return _grid(titles, [_line(line, table.columns) for line in table.lines])


def _line(line: Line, columns: Sequence[Column]) -> list[str]:
    seconds = "–" if line.seconds is None else f"{line.seconds:.2f}"
    return [line.method, *(_mark(line, column) for column in columns), seconds, line.cells]


def _mark(line: Line, column: Column) -> str:
    text = column.show(line.means[column.metric])
    if column.metric in line.best:
        return f"**{text}**"
    return f"<u>{text}</u>" if column.metric in line.second else text


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int] = ()) -> str:
    """A table whose columns line up in plain text too; the first and those of `words` are set left, others right."""
    left = {0, *words}
    rows = [[escape(row[0]), *row[1:]] for row in rows]
    widths = [max(3, *(len(row[index]) for row in [titles, *rows])) for index in range(len(titles))]
    rule = ["-" * width if index in left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(_pad(row, widths, left)) + " |" for row in [titles, rule, *rows])


def _pad(row: Sequence[str], widths: Sequence[int], left: Collection[int]) -> list[str]:
    columns = enumerate(zip(row, widths, strict=True))
    return [text.ljust(width) if index in left else text.rjust(width) for index, (text, width) in columns]
