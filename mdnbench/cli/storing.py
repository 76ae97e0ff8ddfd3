"""`mdnbench store`: checking, compacting and merging stores of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdnbench.cli import options as o

store = typer.Typer(help="The store of results.", no_args_is_help=True)


@store.command()
def check(json: o.Json = False) -> None:
    """Look for damage in the store: pages, rows, and kept images that were altered; exit 4 where there is some.

    Example: mdnbench store check
    """
    from dataclasses import asdict

    from mdnbench import api, names
    from mdnbench.cli import draw

    found = api.check_store()
    if json:
        draw.data(asdict(found))
    else:
        counts = f"{found.runs} runs, {found.outputs} outputs, {found.scores} scores, {found.images} kept images"
        state = f"{len(found.problems)} problems" if found.problems else "all well"
        typer.echo("\n".join([f"{counts}: {state}", *map(names.printable, found.problems)]))
    raise typer.Exit(4 if found.problems else 0)


@store.command()
def compact(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
    json: o.Json = False,
) -> None:
    """Remove what no run refers to, and give its room back. Not while a run is going on.

    Example: mdnbench store compact --yes
    """
    from mdnbench import api
    from mdnbench.cli import draw

    found = api.store_leftovers()
    freed = api.compact_store() if yes else None
    if json:
        facts = {"outputs": found.outputs, "images": len(found.images), "image_bytes": found.image_bytes}
        draw.data(facts | {"freed_bytes": freed})
    else:
        what = f"{found.outputs} outputs and {len(found.images)} images ({found.image_bytes / 2**20:.1f} MiB)"
        done = "nothing was removed: say --yes" if freed is None else f"removed; {freed / 2**20:.1f} MiB are free again"
        typer.echo(f"no run refers to {what}: {done}")


@store.command()
def merge(
    other: Annotated[
        Path, typer.Argument(help="Another results.sqlite, or the folder that holds it; it is only read.")
    ],
    json: o.Json = False,
) -> None:
    """Bring the outputs, scores, runs and kept images of another store into this one; nothing is here twice after it.

    Example: mdnbench store merge elsewhere/.mdnbench
    """
    from dataclasses import asdict

    from mdnbench import api, names
    from mdnbench.cli import draw

    found = api.merge_store(other)
    if json:
        draw.data(asdict(found))
    else:
        runs = names.printable(", ".join(found.runs)) or "none"
        typer.echo(f"{found.outputs} outputs, {found.scores} scores, {found.images} images came in; runs: {runs}")
