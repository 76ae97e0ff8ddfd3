"""`mdnbench plugin`: start a plugin of your own, or check one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench import api
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o
from mdnbench.results.render import terminal
from mdnbench.results.table import Table, words
from mdnbench.spec.names import printable

if TYPE_CHECKING:
    from mdnbench.testing.rules import Finding

plugin = typer.Typer(help="Plugins of your own: begin one, check one.", no_args_is_help=True)

MARKS = {"kept": "ok", "broken": "BROKEN", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class NewPlugin:
    """A plugin that was written.

    Attributes:
        files: The paths of its files.
    """

    files: tuple[str, ...]


@plugin.command()
def new(
    name: Annotated[str, typer.Argument(help="The name of what it brings, as my-filter.")],
    kind: Annotated[str, typer.Option(help="denoiser, learned, noise, metric, dataset or reporter.")] = "denoiser",
    package: Annotated[
        bool,
        typer.Option(
            "--package/--file",
            show_default=False,
            help="A package that pip installs, or a file with its test, the default.",
        ),
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where to write it. [default: here]", show_default=False)] = Path(),
    json: o.Json = False,
) -> None:
    """Write a working plugin to start from. It has types and tests, and passes `mdnbench plugin check`.

    Example: mdnbench plugin new my-filter --kind denoiser
    """
    paths = api.new_plugin(name, kind, package=package, folder=folder)
    if json:
        draw.data("plugin-new", NewPlugin(tuple(map(str, paths))))
        return
    typer.echo("\n".join(map(str, paths)))
    root = folder / f"mdnbench-{name}"
    target = name if package else str(paths[0])
    install = f"pip install -e {root}; " if package else ""
    typer.echo(f"Next: {install}mdnbench plugin check {target}", err=True)


@plugin.command()
def check(
    target: Annotated[str, typer.Argument(help="A file that ends in .py, a plugin's name, what one brings, or all.")],
    timeout: Annotated[float, typer.Option(help="Seconds that a rule may take.")] = 120.0,
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """Check whether a plugin keeps all rules. Exit 0 if it does, 1 if not, 5 if no rule applies.

    Example: mdnbench plugin check my_filter.py
    """
    from mdnbench.testing.rules.rule import Checked  # the rules import torch, which `plugin new` does not need

    with progress.listener() as listener:
        found = api.check_plugin(target, plugins=plugin or (), timeout=timeout, listener=listener)
    code = _exit_code(found)
    if json:
        draw.data("plugin-check", Checked(found), exit_code=code)
    else:
        _draw(found)
    raise typer.Exit(code)


def _exit_code(found: tuple[Finding, ...]) -> int:
    states = {each.state for each in found}
    return 1 if "broken" in states else 0 if "kept" in states else 5


def _draw(found: tuple[Finding, ...]) -> None:
    from mdnbench.testing.rules import rule_table

    for subject in dict.fromkeys(each.subject for each in found):
        mine = [each for each in found if each.subject == subject]
        said = [each.got if each.state == "skipped" else rule_table.summary(subject.kind, each.rule) for each in mine]
        rows = [(MARKS[each.state], each.rule, text) for each, text in zip(mine, said, strict=True)]
        terminal.render(Table.of("", (words(str(subject)), words(""), words("")), rows))
    for each in found:
        if each.state == "broken":
            typer.echo("\n".join(map(printable, str(each).splitlines())) + "\n")
    counts = [f"{sum(each.state == state for each in found)} {state}" for state in MARKS]
    typer.echo(f"{len(found)} rules: {', '.join(counts)}")
