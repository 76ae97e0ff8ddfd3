"""`mdnbench time`: time methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench import api
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o
from mdnbench.errors import BadOption
from mdnbench.results.render import terminal
from mdnbench.spec import names

if TYPE_CHECKING:
    from mdnbench.timing.times import Times

Sizes = Annotated[
    str | None, typer.Option(help="Sides of the square images in pixels, by comma. [default: 256,512,1024]")
]
Threads = Annotated[
    str | None, typer.Option(help="Numbers of threads, by comma; all is one per core. [default: 1,all]")
]
BudgetOption = Annotated[
    float | None, typer.Option(help="Seconds in all, which win over everything else. [default: 600]")
]
Growth = Annotated[
    bool, typer.Option("--scaling", help="Sides 64 to 2048 on one thread, 540 s: how time and memory grow.")
]


def time(
    methods: o.Methods = None, noise: o.NoiseOption = None, sigma: o.Sigma = None, dataset: o.DatasetOption = None,
    protocol: o.ProtocolOption = None, noise_info: o.NoiseInfoOption = None, device: o.Device = None,
    sizes: Sizes = None, threads: Threads = None,
    time_budget: BudgetOption = None, scaling: Growth = False, out: o.Out = None,
    fresh: o.Fresh = None, plugin: o.Plugin = None, json: o.Json = False,
) -> None:  # fmt: skip
    """Time methods, each alone in a new process, and show the times next to the quality if it is stored.

    Example: mdnbench time --methods all --sigma 50
    """
    own = ("sizes", "threads", "time_budget", "scaling", "plugin", "json")
    said = o.overrides({key: value for key, value in locals().items() if key not in (*own, "own")})
    with progress.listener() as listener:
        found = api.time(
            sizes=[_whole(part) for part in names.split_list(sizes or "")],
            threads=names.split_list(threads or ""), budget_s=time_budget, scaling=scaling, listener=listener,
            plugins=[str(path) for path in plugin or ()], **said,
        )  # fmt: skip
    if json:
        draw.data("time", found.record)
    else:
        _draw(found)
    raise typer.Exit(found.exit_code)


def _draw(found: Times) -> None:
    for table in found.tables:
        terminal.render(table)
    for note in found.notes:
        terminal.say(note)
    terminal.say(f"Files: {found.folder}", whole=True)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadOption(f"--sizes {text!r} is not a whole number; write sides in pixels by comma: 256,512.") from None
