"""Names and reasons of every kind, wherever they are shown: in the terminal, CSV, Markdown, LaTeX, pages and JSON."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mdnbench.results.render import html, latex, markdown, terminal
from mdnbench.spec import names
from mdnbench_reports import escaping

PIECES = st.sampled_from(
    ["<script>", "</script>", "<!--", "&amp;", "&#60;", "<b onclick=x>", "](http://x)", "![a](b)", "`", "``", "*", "__",
     "~~", "|", "\\", "\\\\", "\\|", "#", "- ", "1. ", "=", "+", "-", "@", "'", '"', "\t", "\r", "\n", "\x1b[31m",
     "\x9b", "\x00", "\x07", "\u2028", "‮", "$", "{", "}", "^", "_", "%", "~", "\\end{table}",
     "\\input{/etc/passwd}", "a", " ", "[red]", "[/]", "http://x.y", "é", "😀", "\ud800", "CON", "x" * 300],
)  # fmt: skip
SHOWN = st.one_of(st.text(max_size=30), st.lists(PIECES, min_size=1, max_size=8).map("".join))
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Page(HTMLParser):
    """A page's elements and attributes by number, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Counter[str] = Counter()
        self.words = ""
        self._code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count an element and its attributes' names."""
        self.found.update([tag, *(f"{tag} {name}" for name, _ in attrs)])
        self._code = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        self._code = False

    def handle_data(self, data: str) -> None:
        """Keep what is read as text."""
        self.words += "" if self._code else data


def plain(text: str) -> str:
    """A text's visible signs: what is left however lines and spaces are laid out."""
    return re.sub(r"\s+", "", text.encode("utf-8", "replace").decode())


def test_markdown_shows_a_text_as_it_is(fuzz: Any) -> None:
    """Rendered by a Markdown parser, within a table, a line and a heading, the text is there and no markup is."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")

    def check(text: str) -> None:
        safe = markdown.escape(text)
        page = Page(parser.render(f"# x {safe}\n\nx {safe}\n\n| {safe} | b |\n| --- | --- |\n| c | d |\n"))
        assert set(page.found) <= {"h1", "p", "table", "thead", "tbody", "tr", "th", "td"}, safe
        assert page.found["th"] == 2
        shown = plain(names.printable(" ".join(text.split())))
        assert plain(page.words) == f"x{shown}x{shown}{shown}bcd"

    fuzz(check, 200, text=SHOWN)


def test_latex_takes_a_text_as_text(fuzz: Any) -> None:
    """What is left when the escapes are taken away are letters that mean nothing to LaTeX, in one line."""
    known = re.compile(r"\\text[a-z]+\{\}|\\[{}$&#%_]|\$\\[A-Za-z]+\$")

    def check(text: str) -> None:
        safe = latex.escape(text)
        assert not set(known.sub("", safe)) & set("\\{}$&#%_^~\n")

    fuzz(check, 200, text=SHOWN)


def test_the_terminal_obeys_no_text(fuzz: Any) -> None:
    """What is written for a person is in one line, and every sign of it is printable."""

    def check(text: str) -> None:
        assert names.printable(text).isprintable()
        lines = terminal.escape(text).split("\n")
        assert len(lines) == text.count("\n") + 1
        assert all(map(str.isprintable, lines))

    fuzz(check, 100, text=SHOWN)


def test_html_shows_a_text_as_it_is(fuzz: Any) -> None:
    """In an element and in an attribute, the text is there, every sign of it printable, and no markup is."""

    def check(text: str) -> None:
        page = Page(f'<p title="{html.escape(text)}">{html.escape(text)}</p>')
        assert page.found == {"p": 1, "p title": 1}
        assert page.words == names.printable(text)

    fuzz(check, 100, text=SHOWN)


def test_data_in_a_page_is_no_markup(fuzz: Any) -> None:
    """JSON in a script element comes back as it was, and holds nothing that could end the element."""

    def check(text: str) -> None:
        safe = escaping.embedded_json({text: [text]})
        assert json.loads(safe) == {text: [text]}
        assert safe.isascii()
        assert not set(safe) & set("<>&")

    fuzz(check, 100, text=SHOWN)


def test_every_table_shows_what_is_in_the_store(fuzz: Any, mdnbench: Any, stored: Path, workspace: Path) -> None:
    """An image, a data set, a reason and a note by any name: no line, column or formula more, on paper or terminal."""
    sound = (stored / "results.sqlite").read_bytes()

    def check(text: str) -> None:
        text = text.replace("\ud800", "").replace("\x00", "") or "x"
        for path in stored.glob("results.sqlite*"):
            path.unlink()
        (stored / "results.sqlite").write_bytes(sound)
        with closing(sqlite3.connect(stored / "results.sqlite", isolation_level=None)) as connection:
            facts = json.loads(connection.execute("SELECT facts FROM runs").fetchone()[0])
            old = next(iter(facts["images"]))
            facts["images"] = {text if name == old else name: digest for name, digest in facts["images"].items()}
            facts |= {"dataset": text, "notes": [text]}
            connection.execute("UPDATE runs SET facts = ?", (json.dumps(facts),))
            connection.execute("UPDATE run_cells SET dataset = ?", (text,))
            connection.execute("UPDATE run_cells SET image = ? WHERE image = ?", (text, old))
            connection.execute("UPDATE outputs SET reason = ?, status = 'failed' WHERE id = 1", (text,))
        assert mdnbench("report", "done", "--to", "md,csv,latex,json", "--out", "out").code == 0
        page = Page(
            MarkdownIt("commonmark").enable("table").render((workspace / "out" / "table.md").read_text("utf-8"))
        )
        assert not set(page.found) & {"script", "a", "img", "b"}
        assert page.found["table"] == 2
        with (workspace / "out" / "cells.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) == 1 + 8
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.startswith(FORMULA) and not is_number(cell)]
        mdnbench("compare", "done")
        mdnbench("store", "check")

    fuzz(check, 6, text=SHOWN)


def is_number(text: str) -> bool:
    """Whether a spreadsheet reads a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
