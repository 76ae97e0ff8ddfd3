"""Tables on a terminal, fitted to its width: headings and words wrap, numbers never break.

A table that is too wide even so is turned on its side where that helps, or else drawn in parts below each other.
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

# After a space; after a sign that joins names; after one that begins a value; after a hyphen between letters. So no
# number is broken, nor parted from its sign.
_BREAKS = re.compile(r"(?<=\s)(?=\S)|(?<=[,;\]/_])(?=[^\W\d])|(?<=\w[:\[])(?=[^\W\d])|(?<=[^\W\d]-)(?=[^\W\d])")

LOOSE, TIGHT = 3, 2  # spaces between columns
EDGES = 2  # one space before the first column, and one after the last
NARROW_WORDS = 16  # a column of words may be made this narrow, although it holds longer ones

# From the worst under a noise to the best, legible on dark and light terminals: each has its own foreground.
SHADES = ("white on #440154", "white on #3b528b", "white on #21708c", "black on #5ec962", "black on #fde725")
STYLES = {"best": "bold", "second": "underline"}
ROW_STYLES = {"worse": "bold red", "better": "green"}


def render(table: Table, console: Console | None = None, *, notes: str = "") -> None:
    """Print a table: its caption, its rows, and its notes in this style; without rows, the notes alone."""
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
    """Print text; a terminal gets long lines broken between words, a file or a program as they are.

    With `whole` a terminal gets them as they are, too: a path can be copied.
    """
    console = console or Console(highlight=False)
    wrapped = console.is_terminal and not whole
    console.print(escape(text), style=style, markup=False, highlight=False, soft_wrap=not wrapped)


def escape(text: str) -> str:
    """Return a text that no terminal obeys, line by line: names may hold anything."""
    return "\n".join(map(printable, text.split("\n")))


# -- what fits ---------------------------------------------------------------------------------------------------------


def _parts(table: Table, width: int) -> Iterator[tuple[Table, int]]:
    """The tables to draw below each other, most often the one alone, and how many spaces are between their columns."""
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
    """The table with rows for columns; None where it holds words, which want a column of their own."""
    others = [place for place in range(len(table.columns)) if place != table.label]
    if any(table.columns[place].words for place in others) or len(set(table.names)) < len(table.names):
        return None
    columns = (words(table.columns[table.label].name), *(Column(name) for name in table.names))
    rows = [[Cell(table.columns[place].title), *(row[place] for row in table.rows)] for place in others]
    return replace(table, columns=columns, rows=tuple(map(tuple, rows)))


def _groups(table: Table, width: int) -> Iterator[list[int]]:
    """Which columns to draw together: each time those up to the rows' names, and as many others as fit."""
    least, first = _least(table), list(range(table.label + 1))
    chosen = list(first)
    for place in range(len(first), len(table.columns)):
        if len(chosen) > len(first) and _width([least[each] for each in (*chosen, place)], TIGHT) > width:
            yield chosen
            chosen = list(first)
        chosen.append(place)
    yield chosen


def _width(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1) + EDGES


def _natural(table: Table) -> list[int]:
    """How wide the columns are where nothing wraps."""
    return [
        max([cell_len(escape(column.title)), *_lengths(table, place)]) for place, column in enumerate(table.columns)
    ]


def _least(table: Table) -> list[int]:
    """How narrow the columns can be made: to their numbers, to the longest word of a heading, or to few letters."""
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
    return [cell_len(line) for row in table.rows for line in escape(_text(table, row[place])).split("\n")]


def _widths(table: Table, width: int, gap: int) -> list[int]:
    """How wide the columns are made: as they want to be, or with what room there is shared among those that want.

    The names of the rows come first and may take half of the room: they are what a reader looks for.
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


# -- what is drawn -----------------------------------------------------------------------------------------------------


def _grid(table: Table, widths: Sequence[int], gap: int) -> Grid:
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
    style = STYLES.get(cell.mark, "")
    if cell.shade is not None:
        style = SHADES[round(cell.shade * (len(SHADES) - 1))]
    return Text.assemble((_wrapped(escape(_text(table, cell)), width), style))  # a span: the padding stays plain


def _text(table: Table, cell: Cell) -> str:
    """A cell's text; where colours show how near the best a value is, a star marks the best itself."""
    shaded = cell.mark == "best" and any(each.shade is not None for row in table.rows for each in row)
    return f"*{cell.text}" if shaded else cell.text


def _wrapped(text: str, width: int) -> str:
    """A text broken into lines of this width: between words, else after a sign, and inside a word only if it must."""
    return "\n".join(line for given in text.split("\n") for line in _lines(given, width))


def _lines(text: str, width: int) -> Iterator[str]:
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
    """A text cut wherever a line may end: between words, and after signs that join names and options."""
    return [piece for piece in _BREAKS.split(text) if piece]
