"""The commands and groups, put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from mdnbench import __version__

HELP = """\
Benchmark image denoisers: PSNR, SSIM and LPIPS tables, timings, and regression checks that can be trusted.

Example: mdnbench run --methods all --sigma 50

Example: mdnbench describe bm3d"""

# What a person types, and the module here and the name in it. A command is imported when it is needed.
COMMANDS = {
    "run": ("running", "run"),
    "plan": ("running", "plan"),
    "list": ("listing", "list_names"),
    "describe": ("listing", "describe"),
    "check": ("checking", "check"),
    "compare": ("comparing", "compare"),
    "claims": ("claiming", "claims"),
    "rescore": ("rescoring", "rescore"),
    "report": ("running", "report"),
    "time": ("timing", "time"),
    "train": ("training", "train"),
    "export": ("exporting", "export"),
    "doctor": ("doctoring", "doctor"),
    "weights": ("training", "weights"),
    "data": ("datasets", "data"),
    "store": ("storing", "store"),
    "plugin": ("plugins", "plugin"),
}


def app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands and groups."""
    made = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    made.callback()(_root)
    for name in names:
        module, attribute = COMMANDS[name]
        found = getattr(import_module(f"mdnbench.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name)
        else:
            made.command(name)(found)
    return made


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The command line with only the command that the arguments name first, or with all where they name none.

    Making all of them takes typer nearly a tenth of a second.
    """
    return app(arguments[:1]) if arguments and arguments[0] in COMMANDS else app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mdnbench {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Benchmark image denoisers."""


_root.__doc__ = HELP
