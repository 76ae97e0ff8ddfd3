"""`mdnbench rescore`: kept outputs under other scoring rules and metric settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench.cli import options as o
from mdnbench.spec.names import split_list

if TYPE_CHECKING:
    from mdnbench.analysis.rescoring import Rescored
    from mdnbench.results import Results


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
    from mdnbench.results.render import terminal
    from mdnbench.results.shifts import tables_of

    terminal.say(f"{found.run} · protocol {found.protocol}")
    for choice in found.choices:
        terminal.say(f"{choice.name}: {choice.summary}")
    for table in tables_of(results, found.shifts):
        terminal.render(table)
    kept = f"{found.kept} of {found.outputs} outputs were kept"
    lost = "" if found.kept == found.outputs else f"; {found.outputs - found.kept} were not and are left out"
    terminal.say(f"{kept}{lost} · {found.computed} scorings now, the others are from the store")
    for line in (*found.notes, *found.failed):
        terminal.say(line)
