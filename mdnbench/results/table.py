"""A table: columns, rows of cells, marks and notes. Every result is made into this, and every renderer draws this.

A table is built once, next to the result that it shows. `mdnbench.results.render` draws it on a terminal and writes it
as HTML, Markdown and LaTeX.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mdnbench.results import numbers

ARROWS = {"higher": "↑", "lower": "↓"}

# `best` and `second` of a column; `partial` is a mean over some of the cells, which takes no part in a comparison;
# `worse` and `better` say how a value stands to an earlier one.
CellMark = Literal["", "best", "second", "partial", "worse", "better"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table: its text, the number behind it if there is one, and its mark.

    `shade` says how near the best of its kind a value is, from 0 to 1; None where colour would mean nothing.
    """

    text: str
    value: float | None = None
    mark: CellMark = ""
    shade: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, and how its values are shown.

    Args:
        name: What data call it, as a metric's name; it stands above the column where there is no `heading`.
        direction: 'higher' or 'lower' for which values are better; '' where neither is.
        unit: The unit of its values, as 'dB'.
        digits: How many digits after the point.
        absent: Why the column is empty; '' where it is not.
        heading: What stands above it in place of name, unit and direction.
        figures: Whether numbers have three figures, wherever the point is, in place of fixed digits.
        signed: Whether values have their sign, as differences do.
        words: Whether it holds words: they are set left and may be broken over lines. Numbers never are.
        minor: Whether it holds less than the others matter, as a count of cells: a paper leaves it out.
        hint: What a page says when the pointer rests on the heading.

    """

    name: str
    direction: str = ""
    unit: str = ""
    digits: int = 0
    absent: str = ""
    heading: str = ""
    figures: bool = False
    signed: bool = False
    words: bool = False
    minor: bool = False
    hint: str = ""

    @property
    def title(self) -> str:
        """The heading: `PSNR dB ↑` for a metric."""
        if self.heading or not self.direction:
            return self.heading or self.name
        return " ".join(filter(None, (self.name.upper(), self.unit, ARROWS[self.direction])))

    def show(self, value: float | None) -> str:
        """Return a value as it stands in this column."""
        return numbers.figures(value) if self.figures else numbers.fixed(value, self.digits, signed=self.signed)

    def cell(self, value: Cell | str | float | None, mark: CellMark = "") -> Cell:
        """Return the cell of a value: a number as the column shows it, a text as it is."""
        if isinstance(value, Cell):
            return value
        if isinstance(value, str):
            return Cell(value, mark=mark)
        known = value is not None and not math.isnan(value)
        return Cell(self.show(value), value if known else None, mark)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption and the notes below it. The first column of words names the rows."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        caption: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Any]],
        notes: Iterable[str] = (),
    ) -> Table:
        """Return a table of values: cells and texts as they are, numbers as their columns show them."""
        cells = (tuple(column.cell(value) for column, value in zip(columns, row, strict=True)) for row in rows)
        return cls(caption, tuple(columns), tuple(cells), tuple(notes))

    @property
    def label(self) -> int:
        """The place of the column that names the rows."""
        return next((place for place, column in enumerate(self.columns) if column.words), 0)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rows, from top to bottom."""
        return tuple(row[self.label].text for row in self.rows)

    def column(self, name: str) -> Mapping[str, Cell]:
        """Return the cells of a column by the names of their rows."""
        place = next(place for place, column in enumerate(self.columns) if column.name == name)
        return {row[self.label].text: row[place] for row in self.rows}

    def without_minor(self) -> Table:
        """Return the table without its minor columns."""
        return self.without(*(column.name for column in self.columns if column.minor))

    def without(self, *names: str) -> Table:
        """Return the table without the columns of these names."""
        return self.choose([place for place, column in enumerate(self.columns) if column.name not in names])

    def choose(self, places: Sequence[int]) -> Table:
        """Return the table with the columns at these places alone."""
        columns = tuple(self.columns[place] for place in places)
        return replace(self, columns=columns, rows=tuple(tuple(row[place] for place in places) for row in self.rows))

    def shorten(self, most: int) -> Table:
        """Return the table with at most so many rows and notes."""
        return replace(self, rows=self.rows[:most], notes=self.notes[:most])


def words(name: str, heading: str = "") -> Column:
    """Return a column of words."""
    return Column(name, heading=heading, words=True)
