"""Tables as Markdown: columns line up, marks are kept, and a Markdown parser reads every text as a text."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from mdnbench.results.render import markdown
from mdnbench.results.table import Cell, Column, Table, words

HOSTILE = ("<script>", "a|b", "**x**", "new\nline", "`code`", "[x](http://y)", "| --- |", "\x1b[31mred", "$x$", "# no")


def test_a_table_lines_up_in_plain_text_too() -> None:
    """Words left, numbers right, best in bold, second underlined, the caption above and the notes below."""
    columns = (words("Method"), Column("psnr", "higher", "dB", 2), words("Finding"))
    rows = [["median", Cell("30.00", 30.0, "best"), "above"], ["tv", Cell("9.00", 9.0, "second"), "–"]]
    assert markdown.render(Table.of("a noise", columns, rows, ["a note"])) == (
        "## a noise\n"
        "\n"
        "| Method |   PSNR dB ↑ | Finding |\n"
        "| ------ | ----------: | ------- |\n"
        "| median |   **30.00** | above   |\n"
        "| tv     | <u>9.00</u> | –       |\n"
        "\n"
        "*a note*"
    )


def test_without_rows_there_are_the_notes_alone() -> None:
    """Under the caption, at the level that is asked for."""
    assert markdown.render(Table("Nothing was timed.", (words("x"),), (), ("why",)), level=3) == (
        "### Nothing was timed.\n\n*why*"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """Every row has its columns, and the table's elements are the only ones."""
    table = Table.of(text, (words(text), Column(text)), [[text, text]], [text])
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown.render(table))
    assert set(re.findall(r"<(\w+)", page)) == {"h2", "table", "thead", "tbody", "tr", "th", "td", "p", "em"}
    assert [page.count(f"<{tag}") for tag in ("th>", "th ", "td>", "td ", "tr>")] == [1, 1, 1, 1, 2]
