"""Write `report.html`: one file of limited size that opens offline, with tables, charts and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mdnbench.results import grids, tables
from mdnbench.results.render import html
from mdnbench.util import atomic
from mdnbench_reports import (
    claims,
    comparisons,
    escaping,
    gallery,
    javascript,
    page_data,
    provenance,
    scenes,
    scores,
    sections,
    timings,
)
from mdnbench_reports.shortening import shortened

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench_reports.gallery import Gallery
    from mdnbench_reports.scores import Scores

FOLDER = Path(__file__).parent / "templates"
STYLES = ("base.css", "tables.css", "viewer.css")
FIRST_MODULE = "start"  # it imports all others

MEBIBYTE = 2**20
MARGIN_BYTES = 64 * 1024
BYTES_PER_CELL = 250  # bytes of the whole file per cell: a page of 15 MiB shows up to about 60,000 cells
BYTES_PER_LINE = 2000  # the same for the lines of each section's tables: about 7,800 lines
CUTS = (1, 4, 16, 64, 256, 1024)  # divisors of these limits, tried in turn until the page is small enough
SHARE_OF_CHARTS = 6  # the size divided by this is for charts
MOST_PICTURES = 15_000


def write(results: Results, folder: Path, limit: float = 15.0) -> Path:
    """Write `report.html`, of at most `limit` MiB, and return its path."""
    path = folder / "report.html"
    atomic.write(path, render(results, int(limit * MEBIBYTE)))
    return path


def render(results: Results, limit: int) -> str:
    """Return the page of a run, of at most `limit` bytes; the pictures take what the rest leaves."""
    found = scores.of(results)
    page = _page(results, found, limit)
    room = limit - _bytes(page(gallery.Gallery(0))) - MARGIN_BYTES
    most = max(1, MOST_PICTURES // max(1, len(found.noises) * (len(found.methods) + 1)))
    listed = scenes.worst_first(results, found, most)
    return page(gallery.fill(listed, scenes.SceneImages(results), max(0, room)))


def _page(results: Results, found: Scores, limit: int) -> Callable[[Gallery], str]:
    """Return a function that renders the page with a gallery.

    If tables and charts alone are too large for the page, they are reduced.
    """
    template, context = _template(), _context(results, found)
    for cut in CUTS:
        size = limit // cut
        rows = page_data.rows_shown(found, size // BYTES_PER_CELL)
        fixed = context | shortened(context, size // BYTES_PER_LINE)
        fixed |= _charts(results, found, size // SHARE_OF_CHARTS) | {"rows_left_out": len(found.cases) - rows}

        def page(pictures: Gallery, fixed: Mapping[str, Any] = fixed, rows: int = rows) -> str:
            data = escaping.embedded_json(page_data.of(found, results.tables, pictures, rows))
            return str(template.render({**fixed, **_changing(pictures, data)}))

        if _bytes(page(gallery.Gallery(0))) <= limit - MARGIN_BYTES:
            break
    return page


def _bytes(text: str) -> int:
    """Return the length of a text in UTF-8."""
    return len(text.encode("utf-8", "backslashreplace"))


def _context(results: Results, found: Scores) -> dict[str, Any]:
    """Return the values that the templates show, except charts and pictures."""
    return {
        "name": results.name,
        "methods": found.methods,
        "lead": sections.lead(found, results.run.facts),
        "heading": tables.heading(results.run),
        "environment": results.run.facts.environment,
        "tables": [(found.noises.index(table.caption), table) for table in results.tables],
        "comparisons": comparisons.of(results),
        "pairs_left_out": comparisons.left_out(results),
        "told": grids.table_of(results),
        "footnotes": tables.footnotes(results.run),
        "problems": sections.problems(found),
        "problem_count": len(found.problems),
        "timing": timings.of(results),
        "printed": timings.printed(results),
        "standing": timings.against_quality(results),
        "claims": claims.of(results),
        "provenance": provenance.of(results),
    }


def _charts(results: Results, found: Scores, budget: int) -> dict[str, Any]:
    """Return the values of the charts, as many as fit into the budget of bytes."""
    groups, left_out = sections.chart_groups(results, found, budget)
    metrics = dict.fromkeys(figure.metric for group in groups for figure in group.figures)
    return {
        "charts": groups,
        "chart_metrics": [(name, name.upper()) for name in metrics],
        "charts_left_out": left_out,
    }


def _changing(pictures: Gallery, data: str) -> dict[str, Any]:
    """Return the values that depend on the pictures.

    They are not escaped again: neither JSON that is escaped for a page nor base64 can contain markup.
    """
    return {
        "data": Markup(data),
        "pictures": [Markup(text) for text in pictures.pictures],
        "gallery_notes": sections.gallery_notes(pictures),
    }


def _template() -> Any:
    """Return the template of the page, with its style and script."""
    style = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in STYLES)
    script = javascript.join(FOLDER, FIRST_MODULE)
    environment = Environment(
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        loader=FileSystemLoader(FOLDER),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": escaping.policy(style, script),
        "element": lambda *given, **more: Markup(html.for_page(*given, **more)),
    }
    return environment.get_template("report.html")


def _escaped(value: Any) -> Any:
    """Return a value escaped as in tables; markup stays unchanged."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))
