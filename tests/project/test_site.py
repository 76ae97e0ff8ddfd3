"""The documentation site and the notebook: built strictly, whole, and asking nobody for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

import mdnbench
from mdnbench import api

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOK = DOCS / "notebooks" / "first-steps.ipynb"
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src"), ("object", "data")}


def build(folder: Path, *options: str) -> Path:
    """Build the site; any warning is an error, and all of them are shown."""
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees"), *options,
         str(DOCS), str(folder / "site")],
        capture_output=True, text=True, encoding="utf-8", check=False, env={**os.environ, "PYTHONWARNINGS": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as every push builds it."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    return build(tmp_path_factory.mktemp("built"))


@dataclass
class Markup(HTMLParser):
    """What a page has: ids, links, what it loads, and its formulas."""

    text: str
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    formulas: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element says."""
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        if tag == "math":
            self.formulas += found.get("display") == "block"
        for name, value in attrs:
            if value and name in ("src", "href", "data", "srcset"):
                (self.loads if (tag, name) in LOADS and found.get("rel") not in ("index", "search", "next", "prev")
                 else self.links).append(value)  # fmt: skip


@cache
def markup(path: Path) -> Markup:
    """A page of the site, read once."""
    return Markup(path.read_text(encoding="utf-8"))


def pages(site: Path) -> Iterator[Path]:
    """The site's pages."""
    yield from sorted(site.rglob("*.html"))


def test_every_page_is_built(site: Path) -> None:
    """Each Markdown page and the notebook has its page; that each is in the contents, the strict build has seen."""
    wanted = {path.relative_to(DOCS).with_suffix(".html") for path in (*DOCS.rglob("*.md"), NOTEBOOK)}
    assert wanted <= {path.relative_to(site) for path in pages(site)}


def test_no_link_is_broken(site: Path) -> None:
    """Every link and everything loaded is a file of the site, and every fragment an id of it."""
    broken = []
    for path in pages(site):
        for target in (*markup(path).links, *markup(path).loads):
            if re.match(r"https?:|mailto:|data:", target):
                continue
            file, _, fragment = target.partition("#")
            file = file.partition("?")[0]
            found = (path.parent / unquote(file)).resolve() if file else path
            known = found.is_file() and (not fragment or found.suffix != ".html" or fragment in markup(found).ids)
            broken += [] if known else [f"{path.relative_to(site)}: {target}"]
    assert broken == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """No script, style, font or picture comes from another place, whether a page or a style sheet asks for it."""
    foreign = [(path.name, load) for path in pages(site) for load in markup(path).loads if "//" in load]
    assert foreign == []
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.findall(r"@import|url\(\s*['\"]?(?:https?:)?//", text), style


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    """Every formula of a page is MathML in the site."""
    for name in ("noises", "metrics"):
        written = (DOCS / f"{name}.md").read_text(encoding="utf-8").count("```math\n")
        assert written >= 2
        assert markup(site / f"{name}.html").formulas == written
    assert not list(site.rglob("*mathjax*"))


def test_the_reference_has_every_public_function(site: Path) -> None:
    """What can be called from Python stands on the page that is made from the code."""
    ids = markup(site / "reference.html").ids
    assert {f"mdnbench.api.{name}" for name in api.__all__} <= ids
    assert {f"mdnbench.results.Results.{name}" for name in ("table", "show", "cells", "means")} <= ids
    assert f"mdnbench {mdnbench.__version__}" in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.full
def test_the_notebook_runs(workspace: Path) -> None:
    """Each cell gives what the text around it promises: tables as HTML, a figure, a comparison."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert [cell.outputs for cell in notebook.cells if cell.cell_type == "code"] == [[]] * 6, "outputs are stripped"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(workspace)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    bars = [output.data["text/html"] for output in outputs if output.output_type == "display_data"]
    assert bars == [""], "the bar is gone when all is done"
    shown = [output for output in outputs if output.output_type != "display_data"]
    assert {output.output_type for output in shown} == {"execute_result"}, shown
    kinds = [set(output.data) - {"text/plain"} for output in shown]
    assert kinds == [{"text/html"}] * 3 + [{"image/png"}, {"text/html"}, set()]
    assert "<caption>gaussian:sigma=50</caption>" in shown[0].data["text/html"]
    assert "2 images are few." in shown[4].data["text/html"]
    assert shown[5].data["text/plain"] == "Counter({'ok': 6})"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is published: with what the notebook gives."""
    return build(tmp_path_factory.mktemp("executed"), "-D", "nb_execution_mode=force")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_pages_fit_a_phone_and_a_screen(executed: Path, browser: Browser, theme: Any, width: int) -> None:
    """No page is wider than its window, asks for anything outside the site, or complains, in either theme."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in pages(executed):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
    assert [url for url in asked if not url.startswith("file:")] == []
    assert complaints == []
    page.goto((executed / "notebooks" / "first-steps.html").as_uri())
    assert page.locator(".mdnbench table").count() >= 2
    assert page.locator("img[src$='.png']").count() == 1
    context.close()
