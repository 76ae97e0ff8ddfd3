"""`mdnbench list` and `mdnbench describe`: show what is installed."""

from __future__ import annotations

from typing import Annotated

import typer

from mdnbench.api import catalogue
from mdnbench.cli import completion as tab
from mdnbench.cli import draw
from mdnbench.cli import options as o

LISTED = ("methods", "noises", "datasets", "metrics", "protocols", "reporters")  # the kinds for `describe`


def list_names(
    kind: Annotated[
        str,
        typer.Argument(
            help="methods, noises, datasets, metrics, protocols, reporters, runs.", autocompletion=tab.one("kinds")
        ),
    ] = "all",
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """List what is installed: methods, noises, data sets, metrics, protocols, reporters, and broken plugins.

    Example: mdnbench list methods
    """
    found = catalogue.listing(kind, plugin or [])
    if json:
        draw.data("list", found)
    else:
        draw.listing(found)


def describe(
    name: Annotated[
        str, typer.Argument(help="The name of anything that `mdnbench list` shows.", autocompletion=tab.one(*LISTED))
    ],
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """Describe one thing: its options with units and ranges, licence, citation and source.

    Example: mdnbench describe bm3d
    """
    found = catalogue.describe(name, plugin or [])
    if json:
        draw.data("describe", found)
    else:
        draw.description(found)
