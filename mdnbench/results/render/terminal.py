"""Tables on a terminal, fitted to its width: headings and words wrap, numbers never break.

A table that is still too wide is transposed if that makes it narrow enough. Otherwise it is drawn in parts, one below
the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mdnbench.results.table import Cell, Column, Table, words
from mdnbench.spec.names import printable

# A line may end after a space, after a sign that joins names, after a sign that begins a value, and after a hyphen
# between letters. Numbers are therefore never broken and never separated from their sign.
_BREAKS = re.compile(r"(?<=\s)(?=\S)|(?<=[,;\]/_])(?=[^\W\d])|(?<=\w[:\[])(?=[^\W\d])|(?<=[^\W\d]-)(?=[^\W\d])")

LOOSE, TIGHT = 3, 2  # spaces between columns
EDGES = 2  # one space before the first column, and one after the last
NARROW_WORDS = 16  # a column of words may become this narrow, although it holds longer words

# From the worst under a noise to the best. Each has its own foreground, to be legible on dark and light terminals.
SHADES = ("white on #440154", "white on #3b528b", "white on #21708c", "black on #5ec962", "black on #fde725")
STYLES = {"best": "bold", "second": "underline"}
ROW_STYLES = {"worse": "bold red", "better": "green"}


def render(table: Table, console: Console | None = None, *, notes: str = "") -> None:
    """Print a table: its caption, its rows and its notes; without rows, only caption and notes.

    Args:
        table: The table.
        console: The console to print on; without it, standard output.
        notes: The style of the notes.

    """
    console = console or Console(highlight=False)
    if table.caption:
        say(table.caption, "bold", console)
    if table.rows or not table.notes:
        for part, gap in _parts(table, console.width):
            console.print(_grid(part, _widths(part, console.width, gap), gap))
    for note in table.notes:
        say(note, notes, console)
    if table.notes:
        say("", console=console)


def say(text: str, style: str = "", console: Console | None = None, *, whole: bool = False) -> None:
    """Print a text; a terminal breaks long lines between words, a file or another program receives them unbroken.

    Args:
        text: The text.
        style: The style in which it is printed.
        console: The console to print on; without it, standard output.
        whole: Whether lines stay unbroken on a terminal too, such as a path that is to be copied.

    """
    console = console or Console(highlight=False)
    wrapped = console.is_terminal and not whole
    console.print(escape(text), style=style, markup=False, highlight=False, soft_wrap=not wrapped)


def escape(text: str) -> str:
    """Return a text without control characters, line by line, because names may contain any character."""
    return "\n".join(map(printable, text.split("\n")))


# -- fitting the width -------------------------------------------------------------------------------------------------


def _parts(table: Table, width: int) -> Iterator[tuple[Table, int]]:
    """Yield the tables to draw one below the other, each with the number of spaces between its columns."""
    if _width(_natural(table), LOOSE) <= width:
        yield table, LOOSE
        return
    turned = _turned(table)
    for each in (table, *([turned] if turned else [])):
        if _width(_least(each), TIGHT) <= width:
            yield each, TIGHT
            return
    for places in _groups(table, width):
        yield table.choose(places), TIGHT


def _turned(table: Table) -> Table | None:
    """Return the transposed table; None if it holds words, which need a column of their own."""
    others = [place for place in range(len(table.columns)) if place != table.label]
    if any(table.columns[place].words for place in others) or len(set(table.names)) < len(table.names):
        return None
    columns = (words(table.columns[table.label].name), *(Column(name) for name in table.names))
    rows = [[Cell(table.columns[place].title), *(row[place] for row in table.rows)] for place in others]
    return replace(table, columns=columns, rows=tuple(map(tuple, rows)))


def _groups(table: Table, width: int) -> Iterator[list[int]]:
    """Yield the columns to draw together: always those up to the rows' names, and as many others as fit."""
    least, first = _least(table), list(range(table.label + 1))
    chosen = list(first)
    for place in range(len(first), len(table.columns)):
        if len(chosen) > len(first) and _width([least[each] for each in (*chosen, place)], TIGHT) > width:
            yield chosen
            chosen = list(first)
        chosen.append(place)
    yield chosen


def _width(widths: Sequence[int], gap: int) -> int:
    """Return the width of a table whose columns have these widths."""
    return sum(widths) + gap * (len(widths) - 1) + EDGES


def _natural(table: Table) -> list[int]:
    """Return the widths of the columns if nothing is wrapped."""
    return [
        max([cell_len(escape(column.title)), *_lengths(table, place)]) for place, column in enumerate(table.columns)
    ]


def _least(table: Table) -> list[int]:
    """Return the smallest widths of the columns: their numbers, or the longest word of a heading, or a few letters."""
    found = []
    for place, column in enumerate(table.columns):
        heading = max(map(cell_len, escape(column.title).split()), default=0)
        longest = max(_lengths(table, place), default=0)
        if column.words:
            pieces = (piece for row in table.rows for piece in _pieces(escape(row[place].text)))
            longest = min(NARROW_WORDS, max((cell_len(piece.rstrip()) for piece in pieces), default=0))
        found.append(max(heading, longest))
    return found


def _lengths(table: Table, place: int) -> list[int]:
    """Return the lengths of all lines in a column."""
    return [cell_len(line) for row in table.rows for line in escape(_text(table, row[place])).split("\n")]


def _widths(table: Table, width: int, gap: int) -> list[int]:
    """Return the widths of the columns within the width of the terminal.

    Each column has at least its smallest width. The rest of the width is shared among the columns that need more. The
    names of the rows come first and may take half of it, because readers look for them.
    """
    found, natural = _least(table), _natural(table)
    room = width - _width(found, gap)
    wanting = sorted(range(len(found)), key=lambda place: (place != table.label, natural[place] - found[place]))
    for number, place in enumerate(wanting):
        share = max(0, room) // (2 if place == table.label and len(wanting) > 1 else len(wanting) - number)
        more = min(natural[place] - found[place], share)
        found[place] += more
        room -= more
    return found


# -- drawing -----------------------------------------------------------------------------------------------------------


def _grid(table: Table, widths: Sequence[int], gap: int) -> Grid:
    """Return the table of rich that shows this table."""
    titled = any(column.title for column in table.columns)
    grid = Grid(box=box.SIMPLE_HEAD, show_header=titled, pad_edge=False, collapse_padding=gap == TIGHT)
    for column, width in zip(table.columns, widths, strict=True):
        title = Text(_wrapped(escape(column.title), width))
        grid.add_column(title, justify="left" if column.words else "right", width=width, overflow="fold")
    for row in table.rows:
        style = next((ROW_STYLES[cell.mark] for cell in row if cell.mark in ROW_STYLES), "")
        cells = [_styled(table, cell, width) for cell, width in zip(row, widths, strict=True)]
        grid.add_row(*cells, style=style)
    return grid


def _styled(table: Table, cell: Cell, width: int) -> Text:
    """Return the text of a cell with its style."""
    style = STYLES.get(cell.mark, "")
    if cell.shade is not None:
        style = SHADES[round(cell.shade * (len(SHADES) - 1))]
    return Text.assemble((_wrapped(escape(_text(table, cell)), width), style))  # a span: the padding stays plain


def _text(table: Table, cell: Cell) -> str:
    """Return the text of a cell; in a table with shades, a star marks the best value."""
    shaded = cell.mark == "best" and any(each.shade is not None for row in table.rows for each in row)
    return f"*{cell.text}" if shaded else cell.text


def _wrapped(text: str, width: int) -> str:
    """Return a text broken into lines of this width: between words, after a sign, or inside a word if necessary."""
    return "\n".join(line for given in text.split("\n") for line in _lines(given, width))


def _lines(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text, none wider than this width."""
    line = ""
    for piece in _pieces(text):
        if line and cell_len(line) + cell_len(piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
        if cell_len(line.rstrip()) > width:
            *whole, line = chop_cells(line.rstrip(), width)
            yield from whole
    yield line.rstrip()


def _pieces(text: str) -> list[str]:
    """Return a text split where a line may end: between words, and after signs that join names and options."""
    return [piece for piece in _BREAKS.split(text) if piece]
