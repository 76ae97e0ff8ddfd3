"""Markup: tables as HTML for a notebook, in the colours of whatever page they stand in, every text escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from mdnbench.results import grids, tables
from mdnbench.spec.names import printable

if TYPE_CHECKING:
    from mdnbench.results import Results

# Colours are the page's own, light or dark: text inherits, lines and shades are that colour made faint.
STYLE = """\
.mdnbench { color: inherit; overflow-x: auto; }
.mdnbench p { margin: 0.3em 0; opacity: 0.8; font-size: 0.9em; }
.mdnbench table { border-collapse: collapse; margin: 0.6em 0 0.9em; background: none; color: inherit; }
.mdnbench caption { text-align: left; font-weight: 600; padding: 0.2em 0.6em; color: inherit; }
.mdnbench th, .mdnbench td { padding: 0.2em 0.7em; text-align: right; border: 0; background: none; color: inherit; }
.mdnbench :is(th, td):first-child, .mdnbench .named :is(th, td):nth-child(2) { text-align: left; }
.mdnbench td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.mdnbench thead th { border-bottom: 1px solid currentColor; white-space: nowrap; }
.mdnbench tbody tr + tr td { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
"""


class Texts(NamedTuple):
    """A table of texts."""

    titles: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def of_run(found: Results) -> str:
    """A run: what stands above its tables, the tables (grids where there are many noises), and what stands below."""
    parts = [paragraph(line) for line in tables.heading(found.run)]
    if len(found.tables) > grids.MANY:
        for each in grids.of_run(found.run, found.means):
            parts.append(grid(*_marked(*grids.texts(each)), caption=each.column.title))
        parts += [paragraph(f"{each.noise}: {note}") for each in found.tables for note in each.notes]
    else:
        parts += [of_table(each) for each in found.tables]
    return block([*parts, *map(paragraph, tables.footnotes(found.run))])


def of_table(table: tables.Table) -> str:
    """The table of one noise, best in bold and second underlined, and its notes."""
    titles = ("Method", *(column.title for column in table.columns), "s / image", "Cells")
    rows = [tuple(_line(line, table.columns)) for line in table.lines]
    return grid(titles, rows, caption=table.noise) + "".join(map(paragraph, table.notes))


def grid(titles: Sequence[str], rows: Sequence[Sequence[str | tuple[str, str]]], *, caption: str = "") -> str:
    """A table; a cell is a text, or a text and the element that marks it, as ('27.13', 'b').

    The first column is set left, and the second too where the first only numbers the rows or names a partner.
    """
    head = "".join(f'<th scope="col">{safe(title)}</th>' for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    above = f"<caption>{safe(caption)}</caption>" if caption else ""
    kind = ' class="named"' if titles[0] in ("", "First") else ""
    return f"<table{kind}>{above}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n"


def paragraph(text: str) -> str:
    """A line of plain text."""
    return f"<p>{safe(text)}</p>\n"


def block(parts: Sequence[str]) -> str:
    """Parts as one piece that brings its own style and touches nothing else on the page."""
    return f'<div class="mdnbench"><style>\n{STYLE}</style>\n{"".join(parts)}</div>'


def safe(text: str) -> str:
    """A text that no reader takes for markup; what cannot be printed is shown as its code."""
    return escape(printable(text))


def _cell(cell: str | tuple[str, str]) -> str:
    if isinstance(cell, str):
        return safe(cell)
    text, mark = cell
    return f"<{mark}>{safe(text)}</{mark}>"


def _line(line: tables.Line, columns: Sequence[tables.Column]) -> Iterator[str | tuple[str, str]]:
    yield line.method
    for column in columns:
        text = column.show(line.means[column.metric])
        mark = "b" if column.metric in line.best else "u" if column.metric in line.second else ""
        yield (text, mark) if mark else text
    yield "–" if line.seconds is None else f"{line.seconds:.2f}"
    yield line.cells


def _marked(
    titles: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[Sequence[str], list[list[str | tuple[str, str]]]]:
    """The texts of a grid, with what has a star in bold instead."""
    return titles, [[(text[1:], "b") if text.startswith("*") else text for text in row] for row in rows]
