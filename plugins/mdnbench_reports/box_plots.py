"""Charts of a metric's distribution over images, with a box per method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench.util.drawing import VegaLite, name, number, values
from mdnbench_reports import style

if TYPE_CHECKING:
    from mdnbench.results.table import Column, Table
    from mdnbench_reports.scores import Floats, Scores

FEW = 30  # up to this number of cases every image is drawn, otherwise only outliers


def drawing(scores: Scores, noise: int, column: Column, table: Table) -> VegaLite:
    """Return the chart of a metric's values under one noise, with a row per method, best mean first.

    Each row shows the quartiles as a box, the median, whiskers of 1.5 interquartile ranges, and single images.

    Args:
        scores: The scores of the run.
        noise: The index of the noise.
        column: The metric's column.
        table: The table of this noise, which gives the order of the methods.

    """
    boxes, points = _rows(scores, noise, column, table)
    y = style.names("method", table.names)
    colour = {"condition": {"test": "datum.best", "value": style.ACCENT}, "value": style.SOFT}

    def x(field: str) -> VegaLite:
        scale = {"zero": False, "nice": False, "padding": 8}
        return number(field, scale=scale, title=column.title, axis={"tickCount": 6, "domain": False})

    whiskers = {
        "mark": {"type": "rule", "color": style.MUTED, "aria": False},
        "encoding": {"y": y, "x": x("low"), "x2": {"field": "high"}},
    }
    quartiles = {
        "mark": {"type": "bar", "size": 13, "cornerRadius": 1, "opacity": 0.7},
        "encoding": {
            "y": y, "x": x("first"), "x2": {"field": "third"}, "color": colour, "description": name("label"),
        },
    }  # fmt: skip
    medians = {
        "mark": {"type": "tick", "color": style.INK, "size": 13, "thickness": 2, "aria": False},
        "encoding": {"y": y, "x": x("median")},
    }
    images = {
        "data": values(points),
        "mark": {"type": "circle", "size": 18, "color": style.INK, "opacity": 0.45},
        "encoding": {"y": y, "x": x("value"), "description": name("label")},
    }
    layers = [{"data": values(boxes), **each} for each in (whiskers, quartiles, medians)]
    return {"layer": [*layers, images], "width": style.WIDTH, "height": {"step": style.STEP}}


def _rows(scores: Scores, noise: int, column: Column, table: Table) -> tuple[list[Any], list[Any]]:
    """Return the data of the chart: a box for each method that has values, and points."""
    boxes: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for method, cell in table.column(column.name).items():
        index = scores.methods.index(method)
        values = scores.line(column.name, noise, index)
        if values.size:
            box = _quartiles(values) | {"method": method, "best": cell.mark == "best"}
            boxes.append(box | {"label": _box_label(method, values, box, column)})
            points += _points(scores, noise, index, column, box)
    return boxes, points


def _quartiles(values: Floats) -> dict[str, Any]:
    """Return the quartiles and the ends of the whiskers."""
    first, median, third = (float(each) for each in np.percentile(values, (25, 50, 75)))
    reach = 1.5 * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    return {"low": float(inside.min()), "first": first, "median": median, "third": third, "high": float(inside.max())}


def _box_label(method: str, values: Floats, box: Mapping[str, Any], column: Column) -> str:
    """Return the text that describes a box."""
    shown = [column.show(float(each)) for each in (values.mean(), box["median"], box["first"], box["third"])]
    mean, median, first, third = shown
    return f"{method}: mean {mean}, median {median}, quartiles {first} to {third}, {values.size} cells"


def _points(
    scores: Scores, noise: int, method: int, column: Column, box: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the single images of a method: all if they are few, otherwise those beyond the whiskers."""
    few, several = len(scores.cases) <= FEW, len({shot.seed for shot in scores.cases}) > 1
    for shot, value in zip(scores.cases, scores.values[column.name][noise, :, method], strict=True):
        if math.isfinite(value) and (few or not box["low"] <= value <= box["high"]):
            seed = f", seed {shot.seed}" if several else ""
            label = f"{scores.methods[method]}, image {shot.image}{seed}: {column.show(float(value))}"
            yield {"method": scores.methods[method], "value": float(value), "label": label}
