"""Build the command line from the commands and groups."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, NamedTuple

import typer

from mdnbench import __version__

HELP = """\
Benchmark image denoisers: PSNR, SSIM and LPIPS tables, timings, and regression checks that can be trusted.

Example: mdnbench run --methods all --sigma 50

Example: mdnbench describe bm3d"""
COMPLETING = "_MDNBENCH_COMPLETE"  # the shell's completion sets this variable
COMPLETED = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")  # and, depending on the shell, one of these to the line so far


class Command(NamedTuple):
    """The definition of a command or a group of commands, and its line in the help.

    Attributes:
        module: The module in `mdnbench.cli`.
        attribute: The function, or the typer application of a group.
        summary: What it is for, in at most 66 characters, which a terminal of 80 columns shows completely.
    """

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "run": Command("run", "run", "Run methods over a data set and noises, and print the tables."),
    "plan": Command("run", "plan", "Show what a run would compute, and how long it would take."),
    "list": Command("listing", "list_names", "List methods, noises, data sets, metrics, protocols and runs."),
    "describe": Command("listing", "describe", "Describe one of them: its options, citation and files."),
    "check": Command("check", "check", "Compare a run with a baseline; exit 1 if it got worse."),
    "compare": Command("compare", "compare", "Compare methods image by image, with intervals and tests."),
    "claims": Command("claims", "claims", "Compare a run's numbers with published ones."),
    "rescore": Command("rescore", "rescore", "Score a run's stored outputs under other protocols."),
    "report": Command("run", "report", "Write a run's results as HTML, Markdown, LaTeX, CSV and more."),
    "time": Command("time", "time", "Time methods, each alone in a new process."),
    "train": Command("train", "train", "Train a learned method, or resume its training."),
    "export": Command("export", "export", "Write a learned method as an ONNX file."),
    "doctor": Command("doctor", "doctor", "Check versions, machine, plugins, data, weights and the store."),
    "weights": Command("train", "weights", "List, inspect, import and export weights."),
    "data": Command("data", "data", "Fetch and verify data sets, and look for leaks."),
    "store": Command("store", "store", "Check, merge and compact the store of results."),
    "plugin": Command("plugin", "plugin", "Begin a plugin, or check one."),
}


def app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with the given commands and groups; by default with all."""
    made = _empty()
    for name in names:
        command = COMMANDS[name]
        found = getattr(import_module(f"mdnbench.cli.{command.module}"), command.attribute)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name, short_help=command.summary)
        else:
            made.command(name, short_help=command.summary)(found)
    return made


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line that these arguments need, because making all commands takes a tenth of a second.

    If the first argument is a command, only that command is made. If no argument is one, only the help can be shown,
    and the commands are made with nothing but their lines in it. For the shell's completion, a variable has the
    arguments.
    """
    if COMPLETING in os.environ:
        arguments = next((os.environ[name] for name in COMPLETED if name in os.environ), "").split()[1:]
    if arguments and arguments[0] in COMMANDS:
        return app(arguments[:1])
    if not COMMANDS.keys().isdisjoint(arguments):
        return app()
    made = _empty()
    for name, command in COMMANDS.items():
        made.command(name, short_help=command.summary)(_nothing)
    return made


def _empty() -> typer.Typer:
    made = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    made.callback()(_root)
    return made


def _nothing() -> None:
    """Do nothing: the function of a command that is only listed in the help."""


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
