"""What several commands print: runs, lists and descriptions as tables, and data as JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench.results import grids, tables
from mdnbench.results.render import terminal
from mdnbench.results.render.terminal import say
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.names import counted
from mdnbench.timing import summary

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.spec.records import Tally
    from mdnbench.weights.inspecting import Inspection, StateFacts


def data(content: Any) -> None:
    """Print JSON; what is infinite or no number is null, because JSON has no such numbers."""
    for part in json.JSONEncoder(indent=2, ensure_ascii=False, default=str).iterencode(_finite(content)):
        sys.stdout.write(part.encode("utf-8", "backslashreplace").decode())  # a file name's bytes that are no UTF-8
    sys.stdout.write("\n")


def facts_of(results: Results) -> dict[str, Any]:
    """A run as JSON: its facts and means, its cells, its timing."""
    return {
        "name": results.name,
        "folder": str(results.folder),
        "exit_code": results.exit_code,
        "counts": dict(results.counts),
        "unmet": results.unmet,
        "facts": dict(results.run.facts),
        "tables": [_table_facts(results, table) for table in results.tables],
        "cells": [record | _infinite(record) for record in results.records()],
        "timing": results.timing,
    }


def run(results: Results) -> None:
    """Print a run's tables, or grids where there are many, its timing, its notes, and where its files are."""
    for line in tables.heading(results.run):
        say(line, "dim")
    if len(results.tables) > grids.MANY:
        _draw_grids(results)
    else:
        for each in results.tables:
            terminal.render(each, notes="yellow")
    if told := grids.table_of(results):
        terminal.render(told, notes="dim")
    if record := results.timing:
        for each in summary.noted_tables(record):
            terminal.render(each, notes="yellow")
    for note in tables.footnotes(results.run):
        say(note, "dim")
    say(_ending(results), whole=True)


def _draw_grids(results: Results) -> None:
    """One grid per metric, in place of a table per noise: a heat map where the terminal has colours."""
    for grid in grids.of_run(results.run, results.means):
        terminal.render(grid)
    say("* best under its noise; the brighter, the nearer to it; the tables of each noise are in table.md", "dim")
    for each in results.tables:
        for note in each.notes:
            say(f"{each.caption}: {note}", "yellow")


def outlook(found: Mapping[str, Any]) -> None:
    """Print what a run would do."""
    for key, value in found.items():
        if key == "methods":
            terminal.render(_works(value))
        else:
            shown = "; ".join(map(str, value)) if isinstance(value, list) else value
            say(f"{key.replace('_', ' ')}: {shown}")


def _works(found: Sequence[Mapping[str, Any]]) -> Table:
    """What a run would do of each method and noise."""
    columns = (words("Method"), words("Noise"), Column("Cells"), Column("Stored"), words("Weights"),
               Column("Seconds (est.)"))  # fmt: skip
    rows = [
        [row["method"], row["noise"], row["cells"], row["stored"], row["weights"],
         "?" if row["seconds"] is None else row["seconds"]]
        for row in found
    ]  # fmt: skip
    return Table.of("", columns, rows)


def listing(found: Mapping[str, Any]) -> None:
    """Print names with their summaries, by kind."""
    titles = {"datasets": "data sets", "broken": "broken plugins", "patching": "plugins that change their process"}
    for kind, rows in found.items():
        columns = (words(titles.get(kind, kind)), words(""))
        terminal.render(Table.of("", columns, [[row["name"], row["summary"]] for row in rows]))


def checkpoint(found: Inspection, *, keys: bool) -> None:
    """Print what a weights file holds: a line for each state, and for each tensor where `keys` says so."""
    say(f"{found.file}: {found.format}, {found.bytes / 1e6:.2f} MB, SHA-256 {found.sha256[:12]}")
    terminal.render(_states(found))
    if keys:
        for each in found.states:
            terminal.render(_tensors(each))
    for each in found.states:
        if each.faults:
            say(f"{each.name or found.file}: {each.faults}", "yellow")
    if found.beside:
        say("not read: " + ", ".join(f"{name} ({kind})" for name, kind in found.beside.items()), "dim")


def _states(found: Inspection) -> Table:
    columns = (words("State"), Column("Tensors"), Column("Values"), Column("MB", digits=2), words("Types"),
               words("Prefixes"), words("Batch norm"), words("Fits"))  # fmt: skip
    rows = []
    for state in found.states:
        types = ", ".join(f"{count} {name}" for name, count in state.dtypes.items())
        prefixes = " ".join(dict.fromkeys([state.prefix, *state.prefixes])).strip()
        norm, fits = "yes" if state.batch_norm else "no", ", ".join(state.fits) or "no method here"
        rows.append([state.name or ".", state.tensors, state.values, state.bytes / 1e6, types, prefixes, norm, fits])
    return Table.of("", columns, rows)


def _tensors(state: StateFacts) -> Table:
    rows = [[tensor.key, "×".join(map(str, tensor.shape)) or "one", tensor.dtype] for tensor in state.keys]
    return Table.of(state.name, (words("Tensor"), Column("Shape"), words("Type")), rows)


def description(found: Mapping[str, Any]) -> None:
    """Print everything about one name."""
    facts = [[key.replace("_", " "), _shown(value)] for key, value in found.items() if key != "options"]
    terminal.render(Table.of("", (words(""), words("")), facts))
    if found["options"]:
        columns = (words("Option"), words("Takes"), words("Default"), words("What it does"))
        rows = [[option["name"], option["takes"], option["default"], option["help"]] for option in found["options"]]
        terminal.render(Table.of("", columns, rows))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {', '.join(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _ending(results: Results) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in results.counts.items())
    lost = f", {counted(results.failed_scores, 'score')} failed" if results.failed_scores else ""
    return f"{counts}{lost}{_sources(results.tally)}. Files: {results.folder}"


def _sources(tally: Tally | None) -> str:
    if tally is None:
        return ""
    rescored = f", {tally.rescored} rescored from kept outputs" if tally.rescored else ""
    failed = f", {tally.failed} failed" if tally.failed else ""
    return f"; {tally.cached} from the store{rescored}, {tally.computed} computed{failed}"


def _table_facts(results: Results, table: Table) -> dict[str, Any]:
    rows = {row.method: row for row in results.means if row.noise == table.caption}
    lines = []
    for method in table.names:
        row = rows[method]
        means = {name: tables.mean_of(row, name) for name in results.metrics}
        counts = {"seconds": row.seconds, "ok": row.ok, "total": row.total}
        lines.append({"method": method, **means, **_infinite(means), **counts})
    return {"noise": table.caption, "lines": lines, "notes": table.notes}


def _infinite(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """The flag beside values that JSON has no number for: which of them are infinite."""
    found = [name for name, value in values.items() if isinstance(value, float) and abs(value) == float("inf")]
    return {"infinite": found} if found else {}


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
