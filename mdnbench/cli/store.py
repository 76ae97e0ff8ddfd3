"""`mdnbench store`: check, compact and merge stores of results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mdnbench import api
from mdnbench.cli import draw
from mdnbench.cli import options as o
from mdnbench.spec import names

store = typer.Typer(help="The store of results.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class CompactDocument:
    """The stored results that no run refers to.

    Attributes:
        outputs: The number of outputs.
        images: The number of kept images.
        image_bytes: The size of these images in bytes.
        freed_bytes: The number of bytes that were freed, or null without --yes.
    """

    outputs: int
    images: int
    image_bytes: int
    freed_bytes: int | None


@store.command()
def check(json: o.Json = False) -> None:
    """Check the store for damage. Its pages, rows and kept images are checked; exit 4 if there is a problem.

    Example: mdnbench store check
    """
    found = api.check_store()
    if json:
        draw.data("store-check", found)
    else:
        kinds = {"run": found.runs, "output": found.outputs, "score": found.scores, "kept image": found.images}
        counts = ", ".join(names.counted(number, kind) for kind, number in kinds.items())
        state = names.counted(len(found.problems), "problem") if found.problems else "all well"
        typer.echo("\n".join([f"{counts}: {state}", *map(names.printable, found.problems)]))
    raise typer.Exit(4 if found.problems else 0)


@store.command()
def compact(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
    json: o.Json = False,
) -> None:
    """Remove results that no run refers to, and free the space. Do not use it during a run.

    Example: mdnbench store compact --yes
    """
    found = api.unused_results()
    freed = api.compact_store() if yes else None
    if json:
        draw.data("store-compact", CompactDocument(found.outputs, len(found.images), found.image_bytes, freed))
    else:
        outputs, images = names.counted(found.outputs, "output"), names.counted(len(found.images), "image")
        what = f"no run refers to {outputs} and {images} ({found.image_bytes / 2**20:.1f} MiB)"
        if freed is not None:
            typer.echo(f"{what}: removed; {freed / 2**20:.1f} MiB are free again")
        elif found.outputs or found.images:
            typer.echo(f"{what}: nothing was removed yet; --yes does it")
        else:
            typer.echo(f"{what}: there is nothing to remove; --yes gives back what room the file has to spare")


@store.command()
def merge(
    other: Annotated[Path, typer.Argument(help="Another results.sqlite, or a folder that holds one; it is only read.")],
    json: o.Json = False,
) -> None:
    """Copy the results of another store into this one. What is here already is not copied again.

    Example: mdnbench store merge ../elsewhere
    """
    found = api.merge_store(other)
    if json:
        draw.data("store-merge", found)
    else:
        kinds = {"output": found.outputs, "score": found.scores, "image": found.images}
        counts = ", ".join(names.counted(number, kind) for kind, number in kinds.items())
        runs = names.printable(", ".join(found.runs)) or "none"
        typer.echo(f"{counts} came in; new runs: {runs}")
