"""The model of a table: how columns show values, what names the rows, and what can be left out."""

from __future__ import annotations

import math

from mdnbench.results.table import Cell, Column, Table, words

PSNR = Column("psnr", "higher", "dB", 2)


def table() -> Table:
    """Two methods with a rank, a mean and a count."""
    columns = (Column("#"), words("Method"), PSNR, Column("Cells", minor=True))
    return Table.of("gaussian:sigma=50", columns, [[1, "a", Cell("30.00", 30.0, "best"), 12], [2, "b", -1.256, 3]])


def test_a_heading_says_name_unit_and_direction() -> None:
    """A metric's in capitals; any other name as it is, and a heading of its own before both."""
    assert PSNR.title == "PSNR dB ↑"
    assert Column("lpips", "lower").title == "LPIPS ↓"
    assert Column("s / image", digits=2).title == "s / image"
    assert Column("seconds", "lower", heading="time").title == "time"


def test_a_value_becomes_a_cell_as_its_column_shows_it() -> None:
    """With the number behind it, so that a page sorts by it; a text is only a text."""
    assert PSNR.cell(-1.256, "second") == Cell("−1.26", -1.256, "second")
    assert PSNR.cell("none yet") == Cell("none yet")
    assert PSNR.cell(None) == PSNR.cell(math.nan) == Cell("–")
    assert Column("Change", digits=3, signed=True).cell(0.5).text == "+0.500"
    assert Column("MP/s", figures=True).cell(0.0199222).text == "0.0199"
    assert Column("Cells").cell(12).text == "12"


def test_rows_are_named_by_their_first_words() -> None:
    """A number in front of the name is none; a column is found by its own name."""
    assert table().names == ("a", "b")
    assert {name: cell.text for name, cell in table().column("psnr").items()} == {"a": "30.00", "b": "−1.26"}


def test_columns_and_rows_can_be_left_out() -> None:
    """What a paper has no room for, what is named, and what is beyond a number of rows."""
    assert [column.name for column in table().without_minor().columns] == ["#", "Method", "psnr"]
    left = table().without("psnr", "#")
    assert [[cell.text for cell in row] for row in left.rows] == [["a", "12"], ["b", "3"]]
    assert table().shorten(1).names == ("a",)
