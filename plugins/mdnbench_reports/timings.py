"""Timings as tables of texts: one for each condition that methods were timed under, and quality against time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mdnbench.timing import quality, summary
from mdnbench_reports.grid import Grid

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.spec.timings import PublishedLevel
    from mdnbench.timing.quality import Pareto


def of(results: Results) -> list[Grid]:
    """The timing tables of a run, what there is to say below the last; without lines where no time was left for any."""
    record = results.timing
    if not record:
        return []
    titles, notes = summary.titles(record), summary.notes(record)
    grids = [
        Grid(summary.heading(record, group), titles, summary.cells(record, group)) for group in summary.groups(record)
    ]
    return [*grids[:-1], replace(grids[-1], notes=notes)] if grids else [Grid("Nothing was timed.", titles, [], notes)]


def against_quality(results: Results) -> list[Grid]:
    """PSNR and time of every method that has both, for each noise, published levels between them."""
    found = ((table.noise, quality.of_results(results, table.noise)) for table in results.tables)
    return [_standing(noise, pareto) for noise, pareto in found if pareto]


def printed(results: Results) -> list[str]:
    """Where the published levels beside a run's methods were printed; what there is to say where nothing was timed."""
    lines = [line for table in results.tables for line in quality.levels(results, table.noise)]
    return _sources({(line.method, line.source): line for line in lines}.values())


def _sources(published: Iterable[PublishedLevel]) -> list[str]:
    sources: dict[str, list[str]] = {}
    for line in published:
        sources.setdefault(line.source, []).append(line.method)
    notes = [f"{', '.join(methods)}: {source}" for source, methods in sources.items()]
    said = "Published: printed for these images, this noise and this protocol, and not measured here."
    return [said, *notes] if notes else []


def _standing(noise: str, found: Pareto) -> Grid:
    condition = ", ".join(found.group.split(", ")[:2])
    return Grid(
        f"Quality against time, {noise} ({condition})", quality.TITLES, quality.table(found), _sources(found.published)
    )
