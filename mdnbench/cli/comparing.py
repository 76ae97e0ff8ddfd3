"""`mdnbench compare`: paired statistics between methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench.cli import completing as tab
from mdnbench.cli import options as o
from mdnbench.spec.names import split_list

if TYPE_CHECKING:
    from mdnbench.analysis.statistics import Comparison


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="A run's name or folder; several are compared with each other.", autocompletion=tab.one("runs")
        ),
    ],
    metrics: Annotated[
        str | None,
        typer.Option(help="Only these metrics, by comma. [default: the run's]", autocompletion=tab.several("metrics")),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Only pairs with this method, corrected as such.", autocompletion=tab.one("methods")),
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Show every pair, however many.")] = False,
    json: o.Json = False,
) -> None:
    """Compare methods image by image: intervals, paired differences, tests, and what this data set could show.

    Example: mdnbench compare set12-gaussian-50 --metrics psnr
    """
    from mdnbench import api
    from mdnbench.cli import draw, progress

    with progress.waiting(f"comparing {', '.join(runs)}"):
        found = api.compare(*map(api.open_run, runs), metrics=split_list(metrics or ""), against=against or "")
    if json:
        draw.data("compare", found)
    else:
        _draw(found, all_pairs=all_pairs)


def _draw(found: Comparison, *, all_pairs: bool) -> None:
    from mdnbench.analysis import statistics
    from mdnbench.analysis.statistics import texts
    from mdnbench.cli import draw

    draw.say(texts.heading(found))
    for family in found.families:
        draw.say(f"\n{family.noise} · {family.column.title}")
        shown = texts.pairs_shown(family, all_pairs=all_pairs)
        for table in (texts.means(family), texts.records(family), texts.pairs(family, shown)):
            if table.rows:
                draw.table(*table)
        if len(shown) < len(family.pairs):
            draw.say(f"… and {len(family.pairs) - len(shown)} more pairs (--all-pairs shows them)")
        for sentence in statistics.sentences(family):
            draw.say(sentence)
