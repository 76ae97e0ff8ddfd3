"""Print what several commands show: estimates, lists and descriptions as tables, and data as JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mdnbench.cli import documents
from mdnbench.results.render import terminal
from mdnbench.results.render.terminal import say
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.names import counted, show
from mdnbench.util import codec

if TYPE_CHECKING:
    from mdnbench.api.catalogue import Description, Listing
    from mdnbench.planning.estimate import Estimate, WorkEstimate
    from mdnbench.weights.inspection import Inspection, StateFacts


def data(name: str, record: Any, *, exit_code: int | None = None) -> None:
    """Print a JSON document. Numbers that are infinite or NaN become null, because JSON has no such numbers.

    Args:
        name: The name of the document in `documents`.
        record: The record that belongs to it.
        exit_code: The command's exit code, for those documents that have it.
    """
    given = {} if exit_code is None else {"exit_code": exit_code}
    content = {"schema": documents.schema_name(name), **given, **codec.to_plain(record)}
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(_finite(content)):
        sys.stdout.write(part.encode("utf-8", "backslashreplace").decode())  # the name of a file may not be UTF-8
    sys.stdout.write("\n")


def estimate(found: Estimate) -> None:
    """Print what a run would compute, and how long it would take."""
    skipped = [f"{name} (skipped: {why})" for name, why in found.unavailable.items()]
    say(f"run: {found.run}")
    say(f"data: {found.dataset} ({found.dataset_digest}), {counted(found.images, 'image')}")
    say(f"protocol: {found.protocol} ({found.protocol_hash})")
    say(f"metrics: {'; '.join([*found.metrics, *skipped])}")
    terminal.render(_works(found.methods))
    say(f"cells: {found.cells}")
    say(f"new cells: {found.new_cells}")
    say(f"trainings: {'; '.join(found.trainings)}")
    say(f"stored images: up to {found.kept_bytes / 2**20:.0f} MiB in {found.kept_folder}")
    more = "" if found.seconds_known else ", and what has never been run here"
    say(f"estimated time: {found.seconds:.0f} s{more}")
    say(f"notes: {'; '.join(found.notes)}")


def _works(found: Sequence[WorkEstimate]) -> Table:
    """Return the table of what a run would compute for each method and noise."""
    columns = (words("Method"), words("Noise"), Column("Cells"), Column("Stored"), words("Weights"),
               Column("Seconds (est.)"))  # fmt: skip
    rows = []
    for each in found:
        weights = f"skipped: {each.skip}" if each.skip else "to be trained" if each.training else each.weights or "–"
        seconds = "?" if each.seconds is None else each.seconds
        rows.append([each.method, each.noise, each.cells, each.stored, weights, seconds])
    return Table.of("", columns, rows)


def listing(found: Listing) -> None:
    """Print names with their summaries, by kind."""
    titles = {"datasets": "data sets", "broken": "broken plugins", "patching": "plugins that change their process"}
    for field in fields(found):
        rows = getattr(found, field.name)
        if rows is None or (not rows and field.name in ("broken", "patching")):
            continue
        columns = (words(titles.get(field.name, field.name)), words(""))
        terminal.render(Table.of("", columns, [[row.name, row.summary] for row in rows]))


def checkpoint(found: Inspection, *, keys: bool) -> None:
    """Print what a weights file contains: a line for each state, and with `keys` one for each tensor."""
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


def description(found: Description) -> None:
    """Print everything about one name."""
    facts = []
    for field in fields(found):
        value = getattr(found, field.name)
        if field.name != "options" and value is not None:
            label = "from" if field.name == "origin" else field.name.replace("_", " ")
            facts.append([label, _shown(value)])
    terminal.render(Table.of("", (words(""), words("")), facts))
    if found.options:
        columns = (words("Option"), words("Takes"), words("Default"), words("What it does"))
        rows = []
        for option in found.options:
            default = "must be given" if option.default is None else show(option.default)
            rows.append([option.name, option.takes, default, option.help])
        terminal.render(Table.of("", columns, rows))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {', '.join(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _finite(content: Any) -> Any:
    """Return the content with null in place of numbers that are infinite or NaN."""
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
