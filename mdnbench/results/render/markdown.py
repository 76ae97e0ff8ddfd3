"""Tables as Markdown: columns are aligned in plain text too, best in bold, second underlined."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mdnbench.results.table import Cell, Table
from mdnbench.spec.names import printable

NARROWEST = 3  # a rule has at least three dashes
_BOLD = ("best", "worse")


def render(table: Table, level: int = 2) -> str:
    """Return a table under a heading of this level, with its notes below; without rows, only heading and notes."""
    parts = [f"{'#' * level} {escape(table.caption)}"] if table.caption else []
    parts += [_grid(table)] if table.rows else []
    return "\n\n".join([*parts, *map(note, table.notes)])


def note(text: str) -> str:
    """Return a note as it appears below a table."""
    return f"*{escape(text)}*"


def escape(text: str) -> str:
    """Return a text in one line in which neither Markdown, including GitHub's, nor HTML reads anything as markup."""
    return re.sub(r"([\\`*_~$&\[\]<>|#])", r"\\\1", printable(" ".join(text.split())))


def _grid(table: Table) -> str:
    """Return the rows of a table, with aligned columns."""
    titles = [escape(column.title) for column in table.columns]
    rows = [[_marked(cell) for cell in row] for row in table.rows]
    widths = [max(NARROWEST, *map(len, texts)) for texts in zip(titles, *rows, strict=True)]
    left = [column.words for column in table.columns]
    rule = ["-" * width if words else "-" * (width - 1) + ":" for width, words in zip(widths, left, strict=True)]
    return "\n".join(_line(row, widths, left) for row in (titles, rule, *rows))


def _line(texts: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    """Return one line of a table, with its texts padded to the widths of the columns."""
    places = zip(texts, widths, left, strict=True)
    padded = [text.ljust(width) if words else text.rjust(width) for text, width, words in places]
    return f"| {' | '.join(padded)} |"


def _marked(cell: Cell) -> str:
    """Return the text of a cell, in bold or underlined according to its mark."""
    text = escape(cell.text)
    if cell.mark in _BOLD:
        return f"**{text}**"
    return f"<u>{text}</u>" if cell.mark == "second" else text
