"""Tables as HTML: read by a parser, every cell is where it belongs, has its heading, and is text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from mdnbench.results.render import html
from mdnbench.results.table import Cell, Column, Table, words

HOSTILE = ("<script>alert(1)</script>", "\"' onclick=x", "&lt;b&gt;", "]]>", "\x1b[31mred", "‮gnp", "</table>")


class Parsed(HTMLParser):
    """The elements with their attributes, and the texts by element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._path: list[str] = []
        self.feed(text)
        assert self._path == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self._path.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        assert self._path.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if data.strip():
            self.texts.append((self._path[-1], data))


def table() -> Table:
    """Two methods, the first of them best."""
    columns = (words("Method"), Column("psnr", "higher", "dB", 2), Column("Cells", minor=True, hint="how many"))
    return Table.of("a noise", columns, [["a", Cell("30.00", 30.0, "best"), 12], ["b", None, 3]], ["a note"])


def test_headings_have_their_scope_and_the_table_its_caption() -> None:
    """A reader that hears the page is told what each cell belongs to."""
    parsed = Parsed(html.render(table()))
    scopes = [attributes.get("scope") for tag, attributes in parsed.elements if tag == "th"]
    assert scopes == ["col", "col", "col", "row", "row"]
    assert parsed.texts == [
        ("caption", "a noise"), ("th", "Method"), ("th", "PSNR dB ↑"), ("th", "Cells"), ("th", "a"), ("b", "30.00"),
        ("td", "12"), ("th", "b"), ("td", "–"), ("td", "3"), ("p", "a note"),
    ]  # fmt: skip


def test_words_are_set_left_and_numbers_are_not() -> None:
    """The class of a cell is its column's."""
    parsed = Parsed(html.render(table()))
    kinds = [attributes.get("class") for tag, attributes in parsed.elements if tag in ("th", "td")]
    assert kinds == ["word", None, "faint"] * 3


def test_a_page_gets_what_its_script_sorts_by() -> None:
    """Buttons in the headings, the numbers behind the cells, and a button for each method that the run knows."""
    parsed = Parsed(html.for_page(table(), "results", noise=1, methods=["b", "a"]))
    tag, attributes = parsed.elements[0]
    assert (tag, attributes) == ("table", {"class": "results sortable", "data-noise": "1", "aria-label": "a noise"})
    assert [each.get("data-first") for tag, each in parsed.elements if tag == "th"][:3] == [None, "descending", None]
    assert [each["data-value"] for tag, each in parsed.elements if "data-value" in each] == ["30.0", "12", "3"]
    assert [each["data-name"] for tag, each in parsed.elements if "data-name" in each] == ["a", "b"]
    assert [each["data-method"] for tag, each in parsed.elements if "data-method" in each] == ["1", "0"]
    plain = Parsed(html.for_page(table(), "words", sortable=False))
    assert "button" not in {tag for tag, _ in plain.elements}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """In captions, headings, cells, notes and attributes alike."""
    hostile = Table.of(text, (words(text), Column(text, hint=text)), [[text, text]], [text])
    shown = text.replace("\x1b", "\\x1b").replace("‮", "\\u202e")
    for parsed, many in ((Parsed(html.render(hostile)), 6), (Parsed(html.for_page(hostile, "words")), 4)):
        assert "script" not in {tag for tag, _ in parsed.elements}
        assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
        assert [found for _, found in parsed.texts] == [shown] * many
