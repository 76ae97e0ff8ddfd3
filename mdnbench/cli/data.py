"""`mdnbench data`: fetch data sets, verify them, and find leaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench import api
from mdnbench.cli import completion as tab
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o
from mdnbench.data.leaks.leak import Leaks
from mdnbench.results.render import terminal
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.names import counted

if TYPE_CHECKING:
    from mdnbench.data.leaks.leak import Leak

data = typer.Typer(help="Data sets.", no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(help="Data sets by name.", autocompletion=tab.one("datasets"))]


@dataclass(frozen=True, slots=True)
class VerifyDocument:
    """The missing or altered files of data sets.

    Attributes:
        problems: A line for each file, by data set.
    """

    problems: Mapping[str, tuple[str, ...]]


@data.command()
def fetch(names: Names) -> None:
    """Download the missing files of data sets and metrics. Each file is checked against its SHA-256.

    Example: mdnbench data fetch set12 lpips
    """
    with progress.listener() as listener:
        fetched = {name: api.fetch_data(name, listener=listener) for name in names}
    for name, count in fetched.items():
        typer.echo(f"{name}: {counted(count, 'file')} fetched")


@data.command()
def verify(names: Names, json: o.Json = False) -> None:
    """Check the files of data sets against their SHA-256. Exit 4 if one is missing or altered.

    Example: mdnbench data verify set12
    """
    problems = {name: tuple(api.verify_data(name)) for name in names}
    if json:
        draw.data("data-verify", VerifyDocument(problems))
    else:
        for name, found in problems.items():
            typer.echo("\n".join([f"{name}: {'all well' if not found else f'{len(found)} problems'}", *found]))
    raise typer.Exit(4 if any(problems.values()) else 0)


@data.command()
def leaks(
    train: Annotated[str, typer.Option(help="The training set.", autocompletion=tab.one("datasets"))] = "bsd400",
    test: Annotated[str, typer.Option(help="The test set.", autocompletion=tab.one("datasets"))] = "set12",
    pictures: Annotated[Path | None, typer.Option(help="A folder for pictures of the pairs.")] = None,
    json: o.Json = False,
) -> None:
    """Find training images that overlap test images. Also finds flipped, turned, rescaled and recompressed ones.

    Example: mdnbench data leaks --train bsd400 --test set12
    """
    with progress.listener() as listener:
        found = api.find_leaks(train, test, pictures=pictures, listener=listener)
    if json:
        draw.data("data-leaks", Leaks(train, test, found))
    elif found:
        terminal.render(_table(found))
    else:
        typer.echo(f"no image of {train} overlaps an image of {test}")


def _table(found: Iterable[Leak]) -> Table:
    """Return a table of the pairs of images that overlap."""
    columns = (words("Training image"), words("Test image"), *map(Column, ("Overlap", "Scale", "Stretch", "Turned")),
               words("Flipped"), Column("Correlation", digits=2))  # fmt: skip
    rows = [
        [leak.train_id, leak.test_id, f"{leak.overlap:.0%}", f"{leak.scale:.2f}", f"{leak.stretch:.2f}",
         f"{round(leak.rotation_degrees + leak.tilt_degrees) % 360}°", "yes" if leak.flipped else "no",
         leak.correlation]
        for leak in found
    ]  # fmt: skip
    return Table.of("", columns, rows)
