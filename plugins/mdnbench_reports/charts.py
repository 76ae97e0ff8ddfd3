"""The charts of a run, as Vega-Lite specifications: distributions, quality against time, methods against noises.

Names of methods, images and noises are only data in these charts. They are never field names or expressions, because a
name could then be executed as code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.timing import quality
from mdnbench.util.drawing import VegaLite
from mdnbench.util.slugs import slug
from mdnbench_reports import box_plots, heat_map, pareto, style

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Column
    from mdnbench_reports.scores import Scores


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a run.

    Attributes:
        name: The name of its file, without an ending.
        kind: `boxes`, `pareto` or `heat`.
        metric: The metric's name.
        noise: The noise, as its canonical text; '' if it shows several.
        title: The title.
        drawing: The Vega-Lite specification, without its title.

    """

    name: str
    kind: str
    metric: str
    noise: str
    title: str
    drawing: VegaLite

    @property
    def titled(self) -> VegaLite:
        """The specification with its title."""
        return {**self.drawing, "title": self.title}


def of_run(results: Results, scores: Scores) -> Iterator[Chart]:
    """Yield the charts of a run: heat maps if there are several noises, then box plots and Pareto charts by noise."""
    with_values = [column for column in scores.columns if _has_values(scores, column)]
    if len(results.tables) > 1:
        for column in with_values:
            title = f"{column.title}, mean by method and noise"
            yield _named("heat", column.name, "", title, heat_map.drawing(results.tables, column))
    clock = pareto.clock_of(results)
    for table in results.tables:
        index = scores.noises.index(table.caption)
        for column in with_values:
            title = f"{column.title} by image, {table.caption}"
            yield _named("boxes", column.name, table.caption, title, box_plots.drawing(scores, index, column, table))
        for column in with_values:
            title = f"{column.title} against time, {table.caption}"
            published = quality.levels(results, table.caption) if column.name == quality.METRIC else ()
            drawing = pareto.drawing(column, table, clock, scores.idle, published)
            yield _named("pareto", column.name, table.caption, title, drawing)


def _named(kind: str, metric: str, noise: str, title: str, drawing: VegaLite) -> Chart:
    """Return a chart with its file name and the common style."""
    name = slug("-".join(filter(None, (kind, metric, noise))))
    return Chart(name, kind, metric, noise, title, {**drawing, "config": style.config()})


def _has_values(scores: Scores, column: Column) -> bool:
    """Return whether a run has finite values of a metric."""
    return bool(np.isfinite(scores.values[column.name]).any())
