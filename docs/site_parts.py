"""What the site adds to Sphinx: the contents beside each page, and formulas as MathML, drawn by browsers themselves."""

from __future__ import annotations

import fnmatch
from html import escape
from typing import TYPE_CHECKING, Any

from docutils import nodes
from latex2mathml.converter import convert
from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Pages by section, in the order of the sidebar. They live here and not in index.md, which is read on its own too.
CONTENTS: dict[str, tuple[str, ...]] = {
    "Use it": ("main-job", "names", "notebooks/first-steps", "comparing", "claims", "report", "data", "bm3d", "scale"),
    "Definitions": ("protocols", "noises", "metrics", "timing"),
    "Extend it": ("plugins", "wrappers", "learned", "training", "deployment", "leaks"),
    "Trust it": ("checks", "reliability", "performance", "security", "experiments", "experiments/*"),
    "Look it up": ("commands", "json", "api", "reference", "glossary", "design"),
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
    app.add_lexer("csv", TextLexer)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Give the first page its tables of contents, hidden: the sidebar shows them."""
    if name != app.config.root_doc:
        return
    for caption, pages in CONTENTS.items():
        listed = "\n".join(name for page in pages for name in sorted(fnmatch.filter(app.env.found_docs, page)))
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def inline_math(translator: Any, node: nodes.math) -> None:
    """A formula within a line."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    """A formula of its own, with its source as the text for whoever cannot see it."""
    text = node.astext()
    translator.body.append(f'<div class="formula" title="{escape(text)}">{convert(text, display="block")}</div>\n')
    raise nodes.SkipNode
