"""What the tests of reporters share: pages taken apart, and a run in which every name is code somewhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest

from mdnbench import registry
from mdnbench.results import Results
from mdnbench_reports import (
    page,
)


class Nasty(NamedTuple):
    """Names that are code in HTML, in a script, and in a spreadsheet."""

    evil: str = "<img src=x onerror=alert(1)>"
    worse: str = "</script><script>alert('&\u2028')</script><!--"
    formula: str = "=cmd()"


class Markup(HTMLParser):
    """A page taken apart: its elements with their attributes, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._inside: tuple[str, dict[str, str | None]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = (tag, dict(attrs))
            self.raw.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        if self._inside and tag == self._inside[0]:
            self._inside = None

    def handle_data(self, text: str) -> None:
        """Note text, that of scripts and styles apart."""
        if self._inside:
            tag, attributes, before = self.raw[-1]
            self.raw[-1] = (tag, attributes, before + text)
        else:
            self.words.append(text)

    def script(self, identity: str) -> str:
        """The text of the script element with this id."""
        return next(text for _, attributes, text in self.raw if attributes.get("id") == identity)

    @property
    def data(self) -> Any:
        """The data that the page's script reads."""
        return json.loads(self.script("data"))


@pytest.fixture(scope="session")
def nasty() -> Nasty:
    """The names of the hostile run."""
    return Nasty()


@pytest.fixture(scope="session")
def take_apart() -> type[Markup]:
    """`take_apart(text)` gives a page's elements, words, scripts and data."""
    return Markup


@pytest.fixture(scope="session")
def decoded() -> Callable[[Markup, int], np.ndarray[Any, Any]]:
    """`decoded(page, number)` gives a picture of a page: uint8 (H, W); gray is stored as equal channels."""

    def decode(found: Markup, number: int) -> np.ndarray[Any, Any]:
        with PIL.Image.open(io.BytesIO(base64.b64decode(found.script(f"p{number}")))) as image:
            levels = np.asarray(image.convert("RGB"))
        assert (levels == levels[..., :1]).all()
        return levels[..., 0]

    return decode


@pytest.fixture(scope="session")
def whole(finished: Results) -> Markup:
    """The page of the finished run, taken apart."""
    return Markup(page.render(finished, 15 * page.MEBIBYTE))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, invent: Callable[..., Results], nasty: Nasty) -> Results:
    """A run in which everything that can be named has a name that is code somewhere, and one cell failed."""
    load = registry.load().datasets["sk12"].load
    pictures = {
        name: load("01")[16 * at : 96 + 16 * at, :96].copy()
        for at, name in enumerate((nasty.evil, nasty.worse, nasty.formula))
    }

    def problem(image: str, method: str) -> tuple[str, str] | None:
        return ("failed", f"ValueError: {nasty.worse}") if (image, method) == (nasty.evil, nasty.evil) else None

    methods = [nasty.evil, nasty.worse, r"a[x=\input{b}]_$%&#~^{|"]
    return invent(
        tmp_path_factory.mktemp("hostile"), pictures, methods, ["gaussian:25"], name=nasty.worse, problem=problem
    )


@pytest.fixture(scope="session")
def hostile_page(hostile: Results) -> Markup:
    """The page of the hostile run, taken apart."""
    return Markup(page.render(hostile, 15 * page.MEBIBYTE))
