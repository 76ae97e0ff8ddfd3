"""The data of a page: the scores of a run and its scenes, as plain values for the browser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mdnbench_reports.scores import SECONDS

if TYPE_CHECKING:
    from mdnbench.results.table import Column, Table
    from mdnbench_reports.gallery import Gallery, ShownScene
    from mdnbench_reports.scores import Floats, Scores

LONGEST_REASON = 300


def rows_shown(scores: Scores, most_cells: int) -> int:
    """Return how many cases of each noise a page with at most `most_cells` cells shows."""
    per_shot = max(1, len(scores.noises) * len(scores.methods))
    return min(len(scores.cases), max(1, most_cells // per_shot))


def of(scores: Scores, tables: Sequence[Table], gallery: Gallery, rows: int) -> dict[str, Any]:
    """Return the data that the page's script reads; `ReportData` in `types.d.ts` describes them.

    Args:
        scores: The scores of the run.
        tables: The tables of the run, one per noise.
        gallery: The pictures.
        rows: The number of cases of each noise, hardest first. Values have the digits of their metric.

    """
    columns = (*scores.columns, SECONDS)
    places = [scores.worst_first(noise)[:rows] for noise in range(len(scores.noises))]
    cases = sorted({case for each in places for case in each} | {shown.case for shown in gallery.shown})
    at = {case: index for index, case in enumerate(cases)}
    return {
        "metrics": [_metric(column) for column in columns],
        "noises": scores.noises,
        "methods": scores.methods,
        "seeds": 1 + max((case.seed for case in scores.cases), default=0),
        "shots": [[scores.cases[case].image, scores.cases[case].seed] for case in cases],
        "places": [[at[case] for case in each] for each in places],
        "ranks": [_ranks(scores, tables, noise) for noise in scores.noises],
        "values": [
            [_values(scores.values[column.name][noise, each], column) for noise, each in enumerate(places)]
            for column in columns
        ],
        "problems": {
            f"{noise}:{at[case]}:{method}": [status, reason[:LONGEST_REASON]]
            for (noise, case, method), (status, reason) in scores.problems.items()
            if case in at
        },
        "scenes": [_scene(shown, at) for shown in gallery.shown],
    }


def _metric(column: Column) -> dict[str, Any]:
    """Return the description of a metric."""
    higher = column.direction == "higher"
    return {"name": column.name, "title": column.title, "unit": column.unit, "digits": column.digits, "higher": higher}


def _ranks(scores: Scores, tables: Sequence[Table], noise: str) -> list[int]:
    """Return the indices of the methods, best first under this noise; methods without a line in its table are last."""
    lines = [name for table in tables if table.caption == noise for name in table.names]
    order = [*lines, *(method for method in scores.methods if method not in lines)]
    return [scores.methods.index(method) for method in order]


def _values(values: Floats, column: Column) -> list[float | str | None]:
    """Return the scores as plain values."""
    return [_plain(value, column.digits) for value in values.ravel().tolist()]


def _plain(value: float, digits: int) -> float | str | None:
    """Return a value as JSON can store it: infinity is a text, and a missing value is null."""
    if math.isnan(value):
        return None
    return round(value, digits) if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _scene(shown: ShownScene, at: dict[int, int]) -> dict[str, Any]:
    """Return a scene as plain values."""
    return {
        "noise": shown.noise,
        "shot": at[shown.case],
        "size": shown.size,
        "box": shown.box,
        "pictures": dict(shown.pictures),
    }
