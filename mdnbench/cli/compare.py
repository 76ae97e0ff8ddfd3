"""`mdnbench compare`: paired statistics between methods."""

from __future__ import annotations

from typing import Annotated

import typer

from mdnbench import api
from mdnbench.cli import completion as tab
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o
from mdnbench.results.render import terminal
from mdnbench.spec.names import split_list


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
    """Compare methods image by image: intervals, paired differences, tests and detectable differences.

    Example: mdnbench compare set12-gaussian-50 --metrics psnr
    """
    from mdnbench.analysis import statistics  # imports SciPy, which would delay completion
    from mdnbench.cli import comparison_document

    with progress.waiting(f"comparing {', '.join(runs)}"):
        found = api.compare(*map(api.open_run, runs), metrics=split_list(metrics or ""), against=against or "")
    if json:
        draw.data("compare", comparison_document.of(found))
        return
    terminal.say(found.heading)
    for family in found.families:
        for table in statistics.tables_of(family, all_pairs=all_pairs):
            terminal.render(table)
