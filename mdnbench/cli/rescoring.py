"""`mdnbench rescore`: kept outputs under other scoring rules and metric settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench.cli import options as o
from mdnbench.spec.names import split_list

if TYPE_CHECKING:
    from mdnbench.analysis.rescoring import Rescored
    from mdnbench.results import Results
    from mdnbench.results.shifts import Shift


def rescore(
    name: o.RunName,
    scoring: Annotated[
        str, typer.Option(help="By comma: all, protocols, FILE.toml, or metric settings as ssim[uniform].")
    ] = "all",
    dataset: Annotated[str | None, typer.Option(help="The folder of images, for a run on your own.")] = None,
    jobs: o.Jobs = None,
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """Score a run's kept outputs in other ways, and show how far the numbers move. No method runs again.

    Example: mdnbench rescore set12-gaussian-50 --scoring all
    """
    from dataclasses import asdict

    from mdnbench import api
    from mdnbench.cli import draw, progress

    results = api.open_run(name)
    with progress.listener() as listener:
        found = api.rescore(
            results, split_list(scoring), dataset=dataset or "", jobs=jobs or 0, plugins=plugin or [], listener=listener
        )
    if json:
        shifts = [asdict(each) | {"shift": each.shift} for each in found.shifts]
        draw.data(asdict(found) | {"shifts": shifts})
    else:
        _draw(results, found)
    raise typer.Exit(4 if found.failed else 0)


def _draw(results: Results, found: Rescored) -> None:
    from mdnbench.cli import draw

    draw.say(f"{found.run} · protocol {found.protocol}")
    for choice in found.choices:
        draw.say(f"{choice.name}: {choice.summary}")
    for noise, metric in dict.fromkeys((each.noise, each.beside) for each in found.shifts):
        shifts = [each for each in found.shifts if (each.noise, each.beside) == (noise, metric)]
        _draw_shifts(results, noise, metric, shifts)
    kept = f"{found.kept} of {found.outputs} outputs were kept"
    lost = "" if found.kept == found.outputs else f"; {found.outputs - found.kept} were not and are left out"
    draw.say(f"{kept}{lost} · {found.computed} scorings now, the others are from the store")
    for line in (*found.notes, *found.failed):
        draw.say(line)


def _draw_shifts(results: Results, noise: str, metric: str, shifts: list[Shift]) -> None:
    """One table: the means as the run has them, and the shift that each way of scoring brings."""
    from mdnbench.cli import draw
    from mdnbench.results import tables

    column = next(column for column in tables.columns_of(results.run) if column.metric == metric)
    ways = list(dict.fromkeys(each.way for each in shifts))
    by_method: dict[str, dict[str, Shift]] = {}
    for each in shifts:
        by_method.setdefault(each.method, {})[each.way] = each
    draw.say(f"\n{noise} · {column.title}")
    rows = [
        (method, column.show(_as_run(found)), *(_shift(found.get(way), column.digits) for way in ways))
        for method, found in by_method.items()
    ]
    draw.fitting_table(("Method", "As run", *(way.removeprefix(metric) for way in ways)), rows)


def _as_run(found: Mapping[str, Shift]) -> float:
    return next(iter(found.values())).as_run


def _shift(each: Shift | None, digits: int) -> str:
    return "–" if each is None else f"{round(each.shift, digits + 1) + 0.0:+.{digits + 1}f}"
