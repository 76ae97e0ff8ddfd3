"""Tables on a terminal: whatever they hold, no line is too wide, no number is broken, and no name is obeyed."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from mdnbench.results import numbers
from mdnbench.results.render import terminal
from mdnbench.results.table import Cell, Column, Table, words

HOSTILE = ("[bold red]x[/bold red]", "\x1b[31mred", "new\nline", "‮gnp", "a|b", "x" * 300)
LONG = "unet[precision=int8,size=large,weights=gaussian-50-fine-tuned]"


def shown(table: Table, width: int = 80) -> list[str]:
    """The lines that a terminal of this width gets."""
    text = io.StringIO()
    terminal.render(table, Console(file=text, width=width, height=25, force_terminal=True, color_system=None))
    return text.getvalue().splitlines()


def many(columns: int, *, name: str = LONG) -> Table:
    """A table of so many columns of numbers, with intervals among them, and long names."""
    heads = [Column(f"Column number {index}", digits=2) for index in range(columns)]
    row = [
        numbers.interval(-1234.5 - index, 1234.5, 2) if index % 3 == 2 else -1000.125 * (index + 1)
        for index in range(columns)
    ]
    return Table.of("a caption", (words("Method"), *heads, words("Verdict")), [[name, *row, "not reproduced: " * 9]])


@pytest.mark.parametrize("columns", [1, 3, 6, 12])
@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_number_is_broken_at_any_width(columns: int, width: int) -> None:
    """Headings wrap, words wrap, the table goes on below itself; each number and interval is in one line."""
    table = many(columns)
    lines = shown(table, width)
    assert max(map(cell_len, lines)) <= width
    for column, cell in zip(table.columns, table.rows[0], strict=True):
        if not column.words:
            assert sum(cell.text in line for line in lines) == 1, cell.text


def test_what_fits_is_left_alone() -> None:
    """Each row is a line, numbers are set right and words left, and every line is as wide as the others."""
    columns = (words("Method"), Column("psnr", "higher", "dB", 2), Column("95 %"))
    lines = shown(Table.of("", columns, [["bm3d", 26.5, "26.01 to 27.50"], ["a", -1, "–"]]))
    assert [line.rstrip() for line in lines if line.strip()] == [
        " Method   PSNR dB ↑             95 %",
        " ───────────────────────────────────",
        " bm3d         26.50   26.01 to 27.50",
        " a            −1.00                –",
    ]


def test_words_are_broken_between_words_and_options() -> None:
    """A name is broken after a sign that joins its parts, so that no value of an option is cut in two."""
    for width in range(10, 40):
        assert max(map(cell_len, terminal._wrapped(LONG, width).split("\n"))) <= width
    assert terminal._wrapped("nlm[h=0.25,patch=12]", 12) == "nlm[h=0.25,\npatch=12]"
    assert terminal._wrapped("gaussian:sigma=50", 12) == "gaussian:\nsigma=50"
    assert terminal._wrapped("measured 1,234.5 dB less than -1.75", 9).split("\n") == [
        "measured", "1,234.5", "dB less", "than", "-1.75",
    ]  # fmt: skip


def test_numbers_alone_are_turned_on_their_side() -> None:
    """A table of many columns and few rows becomes one of many rows; one with words stays."""
    heads = [Column(f"gaussian:sigma={level}", digits=2) for level in range(9)]
    lines = shown(Table.of("", (words("Method"), *heads), [["a", *map(float, range(9))], ["b", *([None] * 9)]]))
    texts = [line.split() for line in lines if line.strip() and "─" not in line]
    assert texts[0] == ["Method", "a", "b"]
    assert texts[4] == ["gaussian:sigma=3", "3.00", "–"]


def test_parts_repeat_the_names_of_the_rows() -> None:
    """Where nothing else helps, each part has the names again and the columns that follow."""
    table = many(12, name="bm3d")
    lines = shown(table)
    assert sum("bm3d" in line for line in lines) > 1
    assert sum("Verdict" in line for line in lines) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_obeyed(name: str) -> None:
    """Markup, escape sequences and line breaks are shown as what they are, in columns that keep their places."""
    lines = shown(Table.of(name, (words(name), Column(name)), [[name, 1]], [name]))
    assert all(line.isprintable() for line in lines)
    for piece in name.split("\n"):
        whole = "".join("".join(lines).split())
        assert "".join(terminal.escape(piece).split()) in whole


def test_marks_have_their_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Best in bold, second underlined, a row that got worse in red as a whole; a heat map has a star for its best."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    table = Table.of("", (words("Method"), Column("x", digits=1)), [["a", Cell("2.0", 2.0, "best")],
                     ["b", Cell("1.0", 1.0, "second")], ["c", Cell("0.5", 0.5, "worse")]])  # fmt: skip
    text = io.StringIO()
    terminal.render(table, Console(file=text, width=80, force_terminal=True, color_system="standard"))
    first, second, third = (line for line in text.getvalue().splitlines() if re.search(r"\d\.\d", line))
    assert "\x1b[1m2.0\x1b[0m" in first
    assert "\x1b[4m1.0\x1b[0m" in second
    assert "\x1b[1;31mc" in third
    heat = Table.of("", (words("Method"), Column("x")), [["a", Cell("2.0", 2.0, "best", 1.0)], ["b", Cell("1.0")]])
    assert [line.split()[-1] for line in shown(heat) if re.search(r"\d\.\d", line)] == ["*2.0", "1.0"]


def test_a_table_without_rows_is_its_caption_and_notes() -> None:
    """No heading stands above nothing; a list of nothing still says what it would be a list of."""
    assert shown(Table("Nothing was timed.", (words("Method"),), (), ("why",))) == ["Nothing was timed.", "why", ""]
    assert "runs" in "".join(shown(Table("", (words("runs"), words("")), ())))
