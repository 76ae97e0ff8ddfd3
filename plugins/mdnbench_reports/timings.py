"""Timings as tables: one for each condition under which methods were timed, and quality against time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mdnbench.timing import quality, summary

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Table
    from mdnbench.spec.timings import PublishedLevel
    from mdnbench.timing.quality import Pareto


def of(results: Results) -> list[Table]:
    """Return the timing tables of a run, with the notes below the last one.

    If no time was left for any method, the table has no rows.
    """
    record = results.timing
    return summary.noted_tables(record) if record else []


def against_quality(results: Results) -> list[Table]:
    """Return for each noise a table of PSNR and time of every method that has both, and of the published levels."""
    found = ((table.caption, quality.of_results(results, table.caption)) for table in results.tables)
    return [_standing(noise, pareto) for noise, pareto in found if pareto]


def printed(results: Results) -> list[str]:
    """Return the sources of the published levels for a run's methods, to be shown if nothing was timed."""
    lines = [line for table in results.tables for line in quality.levels(results, table.caption)]
    return _sources({(line.method, line.source): line for line in lines}.values())


def _sources(published: Iterable[PublishedLevel]) -> list[str]:
    """Return lines that list the sources of published levels, by method."""
    sources: dict[str, list[str]] = {}
    for line in published:
        sources.setdefault(line.source, []).append(line.method)
    notes = [f"{', '.join(methods)}: {source}" for source, methods in sources.items()]
    said = "Published: printed for these images, this noise and this protocol, and not measured here."
    return [said, *notes] if notes else []


def _standing(noise: str, found: Pareto) -> Table:
    """Return the table of quality against time under one noise."""
    condition = ", ".join(found.group.split(", ")[:2])
    return quality.table(found, f"Quality against time, {noise} ({condition})", _sources(found.published))
