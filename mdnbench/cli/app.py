"""The commands and groups, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from mdnbench import __version__
from mdnbench.cli import (
    checking,
    claiming,
    comparing,
    datasets,
    doctoring,
    exporting,
    listing,
    plugins,
    rescoring,
    running,
    storing,
    timing,
    training,
)

HELP = """\
Benchmark image denoisers: PSNR, SSIM and LPIPS tables, timings, and regression checks that can be trusted.

Example: mdnbench run --methods all --sigma 50

Example: mdnbench describe bm3d"""

app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mdnbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Benchmark image denoisers."""


root.__doc__ = HELP
app.command()(running.run)
app.command()(running.plan)
app.command("list")(listing.list_names)
app.command()(listing.describe)
app.command()(checking.check)
app.command()(comparing.compare)
app.command()(claiming.claims)
app.command()(rescoring.rescore)
app.command()(running.report)
app.command()(timing.time)
app.command()(training.train)
app.command()(exporting.export)
app.command()(doctoring.doctor)
app.add_typer(training.weights, name="weights")
app.add_typer(datasets.data, name="data")
app.add_typer(storing.store, name="store")
app.add_typer(plugins.plugin, name="plugin")
