"""The table model: columns, rows of cells, marks and notes, for every result and every renderer.

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

# `best` and `second` of a column. `partial` marks a mean over only some of the cells, which is not compared.
# `worse` and `better` compare a value with an earlier one.
CellMark = Literal["", "best", "second", "partial", "worse", "better"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: The text that is shown.
        value: The number that the text shows, or None.
        mark: How the value compares with others; see `CellMark`.
        shade: How close the value is to the best of its kind, from 0 to 1. None if the cell gets no colour.

    """

    text: str
    value: float | None = None
    mark: CellMark = ""
    shade: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, and how its values are shown.

    Attributes:
        name: The name in data, such as a metric's name. It is the heading if there is no `heading`.
        direction: 'higher' or 'lower' for the values that are better, '' if neither is.
        unit: The unit of the values, such as 'dB'.
        digits: The number of decimal places.
        absent: The reason why the column is empty, '' if it is not.
        heading: The heading in place of name, unit and direction.
        figures: Whether numbers have three significant figures in place of fixed decimal places.
        signed: Whether positive values get a plus sign, for differences.
        words: Whether the column holds words. They are aligned left and may be broken over lines; numbers never are.
        minor: Whether the column is less important than the others, such as a count of cells. LaTeX tables leave it
            out.
        hint: The text that a page shows when the pointer is on the heading.

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
        """Return a value as text, formatted for this column."""
        return numbers.figures(value) if self.figures else numbers.fixed(value, self.digits, signed=self.signed)

    def cell(self, value: Cell | str | float | None, mark: CellMark = "") -> Cell:
        """Return the cell of a value: a number is formatted for this column, a text stays unchanged."""
        if isinstance(value, Cell):
            return value
        if isinstance(value, str):
            return Cell(value, mark=mark)
        known = value is not None and not math.isnan(value)
        return Cell(self.show(value), value if known else None, mark)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption above and notes below. The first column of words names the rows."""

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
        """Return a table of these values: cells and texts stay unchanged, numbers are formatted for their columns."""
        cells = (tuple(column.cell(value) for column, value in zip(columns, row, strict=True)) for row in rows)
        return cls(caption, tuple(columns), tuple(cells), tuple(notes))

    @property
    def label(self) -> int:
        """The index of the column that names the rows."""
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
        """Return the table with only the columns at these indices."""
        columns = tuple(self.columns[place] for place in places)
        return replace(self, columns=columns, rows=tuple(tuple(row[place] for place in places) for row in self.rows))

    def shorten(self, most: int) -> Table:
        """Return the table with at most `most` rows and `most` notes."""
        return replace(self, rows=self.rows[:most], notes=self.notes[:most])


def words(name: str, heading: str = "") -> Column:
    """Return a column of words."""
    return Column(name, heading=heading, words=True)
