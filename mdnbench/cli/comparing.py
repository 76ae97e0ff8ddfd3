"""`mdnbench compare`: paired statistics between methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdnbench.cli import options as o
from mdnbench.names import split_list

if TYPE_CHECKING:
    from mdnbench.statistics import Comparison, Family
    from mdnbench.statistics.paired import Pair

SHOWN = 15  # pairs; beyond, only those with the best method


def compare(
    runs: Annotated[list[str], typer.Argument(help="A run's name or folder; several are compared with each other.")],
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, by comma. [default: the run's]")] = None,
    against: Annotated[str | None, typer.Option(help="Only pairs with this method, corrected as such.")] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Show every pair, however many.")] = False,
    json: o.Json = False,
) -> None:
    """Compare methods image by image: intervals, paired differences, tests, and what this data set could show.

    Example: mdnbench compare set12-gaussian-50 --metrics psnr
    """
    from dataclasses import asdict

    from mdnbench import api
    from mdnbench.cli import draw

    found = api.compare(*map(api.open_run, runs), metrics=split_list(metrics or ""), against=against or "")
    if json:
        draw.data(asdict(found))
    else:
        _draw(found, all_pairs=all_pairs)


def _draw(found: Comparison, *, all_pairs: bool) -> None:
    from mdnbench import statistics

    typer.echo(f"{', '.join(found.runs)} · data {found.dataset} · protocol {found.protocol}")
    for family in found.families:
        typer.echo(f"\n{family.noise} · {family.column.title}")
        _draw_means(family)
        _draw_pairs(family, all_pairs=all_pairs)
        for sentence in statistics.sentences(family):
            typer.echo(sentence)


def _draw_means(family: Family) -> None:
    """The means with their intervals, then who won, tied and lost how often against whom, over the cells."""
    from mdnbench.cli import draw

    numbered = [(str(index), mean) for index, mean in enumerate(family.means, start=1)]
    rows = [
        (number, mean.method, family.column.show(mean.mean), _interval(family, mean.low, mean.high), mean.cells)
        for number, mean in numbered
    ]
    draw.table(("", "Method", "Mean", "95 %", "Cells"), rows)
    records = [
        (number, mean.method, *(family.record(mean.method, other.method) or "·" for other in family.means))
        for number, mean in numbered
    ]
    if family.pairs:
        draw.table(("", "Wins/ties/losses", *(f"vs {number}" for number, _ in numbered)), records)


def _draw_pairs(family: Family, *, all_pairs: bool) -> None:
    from mdnbench.cli import draw

    best = family.means[0].method
    shown = [
        pair for pair in family.pairs if all_pairs or len(family.pairs) <= SHOWN or best in (pair.first, pair.second)
    ]
    if not shown:
        return
    titles = ("First", "Second", "Difference", "95 %", "p (Holm)", "", "Detectable")
    draw.table(titles, [_texts(family, pair) for pair in shown])
    if len(shown) < len(family.pairs):
        typer.echo(f"… and {len(family.pairs) - len(shown)} more pairs (--all-pairs shows them)")


def _texts(family: Family, pair: Pair) -> tuple[Any, ...]:
    digits = family.column.digits + 1
    return (
        pair.first, pair.second, f"{pair.difference:+.{digits}f}", _interval(family, pair.low, pair.high, signed=True),
        _p(pair.p_holm), "*" if pair.significant else "",
        "–" if pair.detectable is None else f"{pair.detectable:.{digits}f}",
    )  # fmt: skip


def _interval(family: Family, low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return "–"
    digits = family.column.digits + signed
    return f"{low:{'+' if signed else ''}.{digits}f} to {high:{'+' if signed else ''}.{digits}f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "<0.0001" if value < 0.0001 else f"{value:.2g}"
