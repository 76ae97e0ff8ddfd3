"""`mdnbench doctor`: check the installation."""

from __future__ import annotations

import typer

from mdnbench import api
from mdnbench.api.diagnosis import Examination
from mdnbench.cli import draw
from mdnbench.cli import options as o
from mdnbench.results.render import terminal
from mdnbench.results.table import Table, words
from mdnbench.spec import names

MARKS = {"well": "ok", "note": "note", "problem": "PROBLEM"}


def doctor(plugin: o.Plugin = None, json: o.Json = False) -> None:
    """Check versions, machine, network, plugins, data, weights and the store; exit 1 if there is a problem.

    Example: mdnbench doctor
    """
    found = api.doctor(plugins=plugin or ())
    problems = sum(each.state == "problem" for each in found)
    if json:
        draw.data("doctor", Examination(not problems, found))
    else:
        rows = [(MARKS[each.state], each.topic, each.text) for each in found]
        terminal.render(Table.of("", (words(""), words("Looked at"), words("Found")), rows))
        typer.echo(names.counted(problems, "problem") if problems else "all well")
    raise typer.Exit(1 if problems else 0)
