"""Charts of a run: distributions per method, quality against time, methods against noises. Vega-Altair specifications.

Names of methods, images and noises are data in these charts, never field names or expressions, so that no name can be
read as code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench import planning
from mdnbench_reports import labels, style

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.tables import Column, Table
    from mdnbench_reports.scores import Floats, Scores

STEP = 24
FEW = 30  # up to as many shots are drawn one by one; of more only the outliers
FASTEST_S = 1e-3


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its file name, what it shows, and the Altair object that draws it, without its title."""

    name: str
    kind: str
    metric: str
    noise: str
    title: str
    drawing: Any

    @property
    def titled(self) -> Any:
        """The drawing with its title on it."""
        return self.drawing.properties(title=self.title)


def of_run(results: Results, scores: Scores) -> Iterator[Chart]:
    """Every chart of a run, one by one: boxes per noise and metric, Pareto per noise, heat maps for several noises."""
    with_values = [column for column in scores.columns if _has_values(scores, column)]
    for column in with_values:
        for index, table in enumerate(results.tables):
            title = f"{column.title} by image, {table.noise}"
            yield _named("boxes", column.metric, table.noise, title, _boxes(scores, index, column, table))
    if with_values:
        clock = _clock(results)
        for table in results.tables:
            title = f"{with_values[0].title} against time, {table.noise}"
            yield _named("pareto", with_values[0].metric, table.noise, title, _pareto(with_values[0], table, clock))
    if len(results.tables) > 1:
        for column in with_values:
            title = f"{column.title}, mean by method and noise"
            yield _named("heat", column.metric, "", title, _heat(results.tables, column))


def _named(kind: str, metric: str, noise: str, title: str, drawing: Any) -> Chart:
    name = planning.slug("-".join(filter(None, (kind, metric, noise))))
    return Chart(name, kind, metric, noise, title, drawing.configure(**style.config()))


def _has_values(scores: Scores, column: Column) -> bool:
    import numpy as np

    return bool(np.isfinite(scores.values[column.metric]).any())


# -- distributions ---------------------------------------------------------------------------------------------


def _boxes(scores: Scores, noise: int, column: Column, table: Table) -> Any:
    """One row per method, best mean first: quartiles as a box, the median, whiskers of 1.5 IQR, and single images."""
    import altair as alt

    order = [line.method for line in table.lines]
    boxes, points = [], []
    for method in order:
        index = scores.methods.index(method)
        values = scores.line(column.metric, noise, index)
        if values.size:
            box = _quartiles(values) | {"method": method, "best": column.metric in _line(table, method).best}
            box["label"] = _box_label(method, values, box, column)
            boxes.append(box)
            points += list(_points(scores, noise, index, column, box))
    y = alt.Y("method:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    scale = alt.Scale(zero=False, nice=False, padding=8)
    colour = alt.condition("datum.best", alt.value(style.ACCENT), alt.value(style.SOFT))
    base = alt.Chart(alt.InlineData(values=boxes)).encode(y=y)

    def x(field: str) -> Any:
        return alt.X(f"{field}:Q", scale=scale, title=column.title, axis=alt.Axis(tickCount=6, domain=False))

    parts = [
        base.mark_rule(color=style.MUTED, aria=False).encode(x=x("low"), x2="high:Q"),
        base.mark_bar(size=13, cornerRadius=1).encode(x=x("first"), x2="third:Q", color=colour, description="label:N"),
        base.mark_tick(color=style.INK, size=13, thickness=2, aria=False).encode(x=x("median")),
        alt.Chart(alt.InlineData(values=points))
        .mark_circle(size=18, color=style.INK, opacity=0.45)
        .encode(y=y, x=x("value"), description="label:N"),
    ]
    return alt.layer(*parts).properties(width=style.WIDTH, height=alt.Step(STEP))


def _quartiles(values: Floats) -> dict[str, Any]:
    import numpy as np

    first, median, third = (float(each) for each in np.percentile(values, (25, 50, 75)))
    reach = 1.5 * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    return {"low": float(inside.min()), "first": first, "median": median, "third": third, "high": float(inside.max())}


def _box_label(method: str, values: Floats, box: Mapping[str, Any], column: Column) -> str:
    shown = [column.show(float(each)) for each in (values.mean(), box["median"], box["first"], box["third"])]
    mean, median, first, third = shown
    return f"{method}: mean {mean}, median {median}, quartiles {first} to {third}, {values.size} cells"


def _points(
    scores: Scores, noise: int, method: int, column: Column, box: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The single images of a method: all of them where they are few, else those beyond the whiskers."""
    few, several = len(scores.shots) <= FEW, len({shot.seed for shot in scores.shots}) > 1
    for shot, value in zip(scores.shots, scores.values[column.metric][noise, :, method], strict=True):
        if math.isfinite(value) and (few or not box["low"] <= value <= box["high"]):
            seed = f", seed {shot.seed}" if several else ""
            label = f"{scores.methods[method]}, image {shot.image}{seed}: {column.show(float(value))}"
            yield {"method": scores.methods[method], "value": float(value), "label": label}


def _line(table: Table, method: str) -> Any:
    return next(line for line in table.lines if line.method == method)


# -- quality against time --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clock:
    """Seconds by method and what they are."""

    seconds: Mapping[str, float]
    title: str


def _clock(results: Results) -> _Clock | None:
    """The timing phase's medians where it timed every method; None where only the cells' own seconds are known."""
    record = results.timing
    if not record:
        return None
    seconds = {each["name"]: each["stats"]["median"] for each in record["benchmarks"]}
    group = next((each["group"] for each in record["benchmarks"]), "")
    whole = all(line.method in seconds for table in results.tables for line in table.lines)
    return _Clock(seconds, f"seconds per call ({group}, one thread), log scale") if whole else None


def _pareto(column: Column, table: Table, clock: _Clock | None) -> Any:
    """Quality against time; the methods that no other beats in both are joined by a line."""
    import altair as alt

    rows = _timed(column, table, clock)
    title = clock.title if clock else "seconds per image while running (indicative), log scale"
    x = alt.X("seconds:Q", title=title, scale=alt.Scale(type="log", nice=False, padding=24), axis=_log_axis(rows))
    y = alt.Y("value:Q", title=column.title, scale=alt.Scale(zero=False, padding=18), axis=alt.Axis(tickCount=5))
    colour = alt.condition("datum.front", alt.value(style.ACCENT), alt.value(style.MUTED))
    front = [row for row in rows if row["front"]]
    parts: list[Any] = [
        alt.Chart(alt.InlineData(values=front))
        .mark_line(color=style.ACCENT, interpolate="step-after", strokeWidth=1, strokeDash=[3, 3], aria=False)
        .encode(x=x, y=y),
        alt.Chart(alt.InlineData(values=rows))
        .mark_circle(size=60, opacity=1)
        .encode(x=x, y=y, color=colour, description="label:N"),
    ]
    for place, group in labels.placed(rows, column.direction).items():
        text = alt.Chart(alt.InlineData(values=group)).mark_text(**labels.MARKS[place], limit=style.LABEL_WIDTH)
        parts.append(text.encode(x=x, y=y, text="method:N"))
    return alt.layer(*parts).properties(width=style.WIDTH, height=240)


def _timed(column: Column, table: Table, clock: _Clock | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in table.lines:
        value = line.means[column.metric]
        seconds = clock.seconds.get(line.method) if clock else line.seconds
        if value is not None and math.isfinite(value) and seconds is not None:
            label = f"{line.method}: {column.show(value)} in {seconds:.3g} s"
            at = max(seconds, FASTEST_S)
            rows.append({"method": line.method, "value": value, "seconds": at, "label": label})
    for row in rows:
        row["front"] = not any(_beats(other, row, column) for other in rows)
    return sorted(rows, key=lambda row: float(row["seconds"]))


def _beats(one: Mapping[str, Any], other: Mapping[str, Any], column: Column) -> bool:
    """Whether one method is at least as good and as fast as another, and better in one of the two."""
    sign = 1 if column.direction == "higher" else -1
    quality, speed = sign * (one["value"] - other["value"]), other["seconds"] - one["seconds"]
    return bool(quality >= 0 and speed >= 0 and (quality > 0 or speed > 0))


def _log_axis(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Ticks at powers of ten alone where they are enough, else at 1, 2 and 5 as well."""
    import altair as alt

    seconds = [row["seconds"] for row in rows] or [1.0]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    steps = (1,) if high - low > 2 else (1, 2, 5)
    return alt.Axis(values=[step * 10.0**power for power in range(low, high + 1) for step in steps], format="~g")


# -- methods against noises ------------------------------------------------------------------------------------


def _heat(tables: Sequence[Table], column: Column) -> Any:
    """Means by method and noise; the fainter a square, the further it is from the best method under that noise."""
    import altair as alt

    rows = [row for table in tables for row in _squares(table, column)]
    order = [line.method for line in tables[0].lines]
    axis = alt.Axis(ticks=False, domain=False, orient="top", labelAngle=0 if len(tables) <= 4 else -30, labelPadding=6)
    x = alt.X("noise:N", sort=[table.noise for table in tables], title=None, axis=axis)
    y = alt.Y("method:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, y=y)
    opacity = alt.Opacity("near:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.6]), legend=None)
    squares = base.mark_rect(color=style.ACCENT, cornerRadius=2, stroke=style.PAPER, strokeWidth=2)
    numbers = base.mark_text(aria=False).encode(text="shown:N")
    width = max(style.WIDTH, 76 * len(tables))
    layered = alt.layer(squares.encode(opacity=opacity, description="label:N"), numbers)
    return layered.properties(width=width, height=alt.Step(STEP))


def _squares(table: Table, column: Column) -> Iterator[dict[str, Any]]:
    means = {line.method: value for line in table.lines if (value := line.means[column.metric]) is not None}
    finite = [value for value in means.values() if math.isfinite(value)]
    if not finite:
        return
    best, worst = (max(finite), min(finite)) if column.direction == "higher" else (min(finite), max(finite))
    for method, value in means.items():
        near = 1.0 if best == worst or not math.isfinite(value) else ((value - worst) / (best - worst)) ** 3
        shown = column.show(value)
        label = f"{method}, {table.noise}: {shown}"
        yield {"noise": table.noise, "method": method, "near": near, "shown": shown, "label": label}
