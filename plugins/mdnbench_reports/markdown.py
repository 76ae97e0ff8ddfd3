"""Write `table.md`: the tables of a run as Markdown, then timing and published numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.results import grids, tables
from mdnbench.results.render import markdown
from mdnbench.util import atomic
from mdnbench_reports import claims, timings

if TYPE_CHECKING:
    from mdnbench.results import Results


def write(results: Results, folder: Path) -> Path:
    """Write `table.md` and return its path."""
    path = folder / "table.md"
    atomic.write(path, text_of(results))
    return path


def text_of(results: Results) -> str:
    """Return all tables of a run as one Markdown text."""
    heading = [f"# {markdown.escape(results.name)}", *map(markdown.escape, tables.heading(results.run))]
    return "\n\n".join([*heading, *_parts(results), *map(markdown.note, tables.footnotes(results.run))]) + "\n"


def _parts(results: Results) -> Iterator[str]:
    """Yield the parts of the text, in this order.

    Grids, if there are many noises; the comparison of noise information, if there is one; a table for each noise; the
    tables of the timing; the comparison with published and claimed numbers.
    """
    if len(results.tables) > grids.MANY:
        yield from map(markdown.render, grids.of_run(results.run, results.means))
    if told := grids.table_of(results):
        yield markdown.render(told)
    yield from map(markdown.render, results.tables)
    timed = timings.of(results)
    timed += timings.against_quality(results)
    if timed:
        yield "## Timing"
    yield from (markdown.render(table, level=3) for table in timed)
    if section := claims.of(results, images=False):
        yield from map(markdown.render, section.tables)
        yield from map(markdown.note, section.notes)
