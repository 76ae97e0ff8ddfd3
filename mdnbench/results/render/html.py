"""Tables as HTML: for a notebook, in the colours of the surrounding page, and for the page of a report."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from mdnbench.results.table import Cell, Column, Table
from mdnbench.spec.names import printable

# The colours come from the page, light or dark: text inherits its colour, and lines are a fainter version of it.
STYLE = """\
.mdnbench { color: inherit; overflow-x: auto; }
.mdnbench p { margin: 0.3em 0; opacity: 0.8; font-size: 0.9em; }
.mdnbench table { border-collapse: collapse; margin: 0.6em 0 0.9em; background: none; color: inherit; }
.mdnbench caption { text-align: left; font-weight: 600; padding: 0.2em 0.6em; color: inherit; }
.mdnbench th, .mdnbench td { padding: 0.2em 0.7em; text-align: right; border: 0; background: none; color: inherit; }
.mdnbench tbody th { font-weight: normal; }
.mdnbench .word { text-align: left; }
.mdnbench tbody :is(th, td) { font-variant-numeric: tabular-nums; white-space: nowrap; }
.mdnbench thead th { border-bottom: 1px solid currentColor; white-space: nowrap; }
.mdnbench tbody tr + tr > * { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
"""
_MARKS = {"best": "b", "second": "u", "worse": "b"}
_FIRST = {"higher": "descending", "lower": "ascending"}  # how a click on a heading sorts


def render(table: Table) -> str:
    """Return a table with its caption, and its notes as paragraphs below; without rows, only the notes."""
    above = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    body = f"<table>{above}{_head(table, sortable=False)}{_body(table)}</table>\n" if table.rows else ""
    return body + "".join(map(paragraph, table.notes))


def for_page(
    table: Table, kind: str, *, sortable: bool = True, noise: int | None = None, methods: Sequence[str] = ()
) -> str:
    """Return the HTML element of a table in a report; the page's script sorts and filters its rows.

    Args:
        table: The table. The page itself shows its caption and its notes.
        kind: The element's class: 'results' if the rows are methods, 'words' otherwise.
        sortable: Whether a click on a heading sorts the rows.
        noise: The index of the table's noise.
        methods: The methods in the order of their indices. The name of a row becomes a button that opens the method's
            pictures.

    """
    names = f"{kind} sortable" if sortable else kind
    of_noise = "" if noise is None else f' data-noise="{noise}"'
    start = f'<table class="{names}"{of_noise} aria-label="{escape(table.caption)}">'
    body = _body(table, methods=methods, values=sortable, named="results" in kind)
    return f"{start}\n{_head(table, sortable=sortable)}\n{body}</table>"


def paragraph(text: str) -> str:
    """Return a plain text as a paragraph."""
    return f"<p>{escape(text)}</p>\n"


def block(parts: Iterable[str]) -> str:
    """Return parts as one HTML block with its own style, which affects nothing else on the page."""
    return f'<div class="mdnbench"><style>\n{STYLE}</style>\n{"".join(parts)}</div>'


def escape(text: str) -> str:
    """Return a text in which nothing is read as markup; characters that cannot be printed are shown as their codes."""
    return html.escape(printable(text))


def _head(table: Table, *, sortable: bool) -> str:
    """Return the head of a table."""
    cells = "".join(_heading(column, sortable=sortable) for column in table.columns)
    return f"<thead><tr>{cells}</tr></thead>"


def _heading(column: Column, *, sortable: bool) -> str:
    """Return the heading of a column; a sortable one is a button."""
    title, hint = escape(column.title), f' title="{escape(column.hint)}"' if column.hint else ""
    start = f'<th scope="col"{_alignment(column)}{hint}'
    if not sortable:
        return f"{start}>{title}</th>"
    first = f' data-first="{_FIRST[column.direction]}"' if column.direction else ""
    return f'{start} aria-sort="none"{first}><button type="button">{title}</button></th>'


def _body(table: Table, *, methods: Sequence[str] = (), values: bool = False, named: bool = False) -> str:
    """Return the rows; with `named`, each has an attribute with its names, by which the page filters."""
    lines = []
    for row in table.rows:
        cells: list[str] = []
        names = [cell.text for column, cell in zip(table.columns, row, strict=True) if column.words]
        for place, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            if place == table.label:
                cells.append(_row_heading(column, cell, methods))
            else:
                cells.append(_cell(column, cell, values=values))
        start = f'<tr data-name="{escape(" ".join(names))}">' if named else "<tr>"
        lines.append(f"{start}{''.join(cells)}</tr>\n")
    return f"<tbody>{''.join(lines)}</tbody>"


def _row_heading(column: Column, cell: Cell, methods: Sequence[str]) -> str:
    """Return the cell that names a row; the name of a method with pictures is a button."""
    text = escape(cell.text)
    inside = text
    if cell.text in methods:
        inside = f'<button type="button" data-method="{methods.index(cell.text)}">{text}</button>'
    return f'<th scope="row" title="{text}"{_alignment(column)}>{inside}</th>'


def _cell(column: Column, cell: Cell, *, values: bool) -> str:
    """Return a cell; with `values`, it has an attribute with its number, by which the page sorts."""
    text, mark = escape(cell.text), _MARKS.get(cell.mark, "")
    inside = f"<{mark}>{text}</{mark}>" if mark else text
    value = f' data-value="{cell.value}"' if values and cell.value is not None else ""
    return f"<td{_alignment(column)}{value}>{inside}</td>"


def _alignment(column: Column) -> str:
    """Return the attribute `class` of a column's cells."""
    names: Sequence[str] = [*(["word"] if column.words else []), *(["faint"] if column.minor else [])]
    return f' class="{" ".join(names)}"' if names else ""
