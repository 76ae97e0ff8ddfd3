"""Drawing on stdout: tables with rich, data as JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mdnbench.cli import documents
from mdnbench.results import tables
from mdnbench.spec.names import counted, printable, show
from mdnbench.timing import summary
from mdnbench.util import codec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from mdnbench.api.catalogue import Description, Listing
    from mdnbench.planning.estimate import Estimate
    from mdnbench.results import Results
    from mdnbench.spec.records import Tally
    from mdnbench.spec.timings import TimingRecord
    from mdnbench.weights.inspecting import Inspection, StateFacts, TensorFacts


def data(name: str, record: Any, *, exit_code: int | None = None) -> None:
    """Print the document of this name as JSON; what is infinite or no number is null: JSON has no such numbers.

    `documents` lists the names, the records that belong to them, and which of them have the exit code.
    """
    given = {} if exit_code is None else {"exit_code": exit_code}
    content = {"schema": documents.schema_name(name), **given, **codec.to_plain(record)}
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(_finite(content)):
        sys.stdout.write(part.encode("utf-8", "backslashreplace").decode())  # a file name's bytes that are no UTF-8
    sys.stdout.write("\n")


def run(results: Results) -> None:
    """Print a run's tables, or grids where there are many, its timing, its notes, and where its files are."""
    from mdnbench.cli import gridding
    from mdnbench.results import grids

    console = _console()
    for line in tables.heading(results.run):
        console.print(line, style="dim", markup=False, highlight=False)
    if len(results.tables) > grids.MANY:
        gridding.draw_grids(console, results, fitting_table)
    else:
        for each in results.tables:
            _draw_table(console, each)
    gridding.draw_knowledge(console, results, table)
    if record := results.timing:
        _draw_timing(console, record)
    for note in tables.footnotes(results.run):
        console.print(note, style="dim", markup=False, highlight=False)
    console.print(_ending(results), markup=False, highlight=False, soft_wrap=True)


def estimate(found: Estimate) -> None:
    """Print what a run would do."""
    console = _console()
    skipped = [f"{name} (skipped: {why})" for name, why in found.unavailable.items()]
    say(f"run: {found.run}")
    say(f"data: {found.dataset} ({found.dataset_digest}), {counted(found.images, 'image')}")
    say(f"protocol: {found.protocol} ({found.protocol_hash})")
    say(f"metrics: {'; '.join([*found.metrics, *skipped])}")
    grid = _grid(["Method", "Noise", "Cells", "Stored", "Weights", "Seconds (est.)"])
    for each in found.methods:
        seconds = "?" if each.seconds is None else f"{each.seconds:.0f}"
        weights = f"skipped: {each.skip}" if each.skip else "to be trained" if each.training else each.weights or "–"
        grid.add_row(*map(_plain, (each.method, each.noise, each.cells, each.stored, weights, seconds)))
    console.print(grid)
    say(f"cells: {found.cells}")
    say(f"new cells: {found.new_cells}")
    say(f"trainings: {'; '.join(found.trainings)}")
    say(f"kept images: up to {found.kept_bytes / 2**20:.0f} MiB in {found.kept_folder}")
    more = "" if found.seconds_known else ", and what has never been run here"
    say(f"estimated time: {found.seconds:.0f} s{more}")
    say(f"notes: {'; '.join(found.notes)}")


def listing(found: Listing) -> None:
    """Print names with their summaries, by kind."""
    console = _console()
    titles = {"datasets": "data sets", "broken": "broken plugins", "patching": "plugins that change their process"}
    for field in fields(found):
        rows = getattr(found, field.name)
        if rows is None or (not rows and field.name in ("broken", "patching")):
            continue
        grid = _grid([titles.get(field.name, field.name), ""], header=True, left=2)
        for row in rows:
            grid.add_row(_plain(row.name), _plain(row.summary))
        console.print(grid)


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    left: int = 2,
    words: Collection[str] = (),
    whole: Collection[str] = (),
) -> None:
    """Print a plain table; the first `left` columns and those titled as `words` says are set left, the others right.

    Columns titled as `whole` says are not broken where the terminal is too narrow; the others give way.
    """
    grid = _grid(titles, left=left)
    for column in grid.columns:
        column.no_wrap = str(column.header) in whole
        if str(column.header) in words:
            column.justify = "left"
    for row in rows:
        grid.add_row(*map(_plain, row))
    _console().print(grid)


def checkpoint(found: Inspection, *, keys: bool) -> None:
    """Print what a weights file holds: a line for each state, and for each tensor where `keys` says so."""
    say(f"{found.file}: {found.format}, {found.bytes / 1e6:.2f} MB, SHA-256 {found.sha256[:12]}")
    titles = ("State", "Tensors", "Values", "MB", "Types", "Prefixes", "Batch norm", "Fits")
    fitting_table(titles, [_state_cells(each) for each in found.states])
    if keys:
        for each in found.states:
            table(("Tensor", "Shape", "Type"), [_tensor_cells(tensor) for tensor in each.keys], left=1)
    for each in found.states:
        if each.faults:
            say(f"{each.name or found.file}: {each.faults}", style="yellow")
    if found.beside:
        say("not read: " + ", ".join(f"{name} ({kind})" for name, kind in found.beside.items()), style="dim")


def _state_cells(state: StateFacts) -> list[object]:
    types = ", ".join(f"{count} {name}" for name, count in state.dtypes.items())
    prefixes = " ".join(dict.fromkeys([state.prefix, *state.prefixes])).strip()
    fits = ", ".join(state.fits) or "no method here"
    size, norm = f"{state.bytes / 1e6:.2f}", "yes" if state.batch_norm else "no"
    return [state.name or ".", state.tensors, state.values, size, types, prefixes, norm, fits]


def _tensor_cells(tensor: TensorFacts) -> list[object]:
    return [tensor.key, "×".join(map(str, tensor.shape)) or "one", tensor.dtype]


def say(text: str, style: str = "") -> None:
    """Print text; a terminal gets long lines broken between words, a file or a program as they are."""
    console = _console()
    shown = "\n".join(map(printable, text.split("\n")))
    console.print(shown, style=style, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def fitting_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a plain table, its first column set left; turned on its side where it is too wide and that is narrower."""
    lines: list[list[object]] = [list(titles), *map(list, rows)]
    turned: list[list[object]] = [list(column) for column in zip(*lines, strict=True)]
    if _width(lines) > _console().width and _width(turned) < _width(lines):
        lines = [["", *turned[0][1:]], *turned[1:]]
    table([str(title) for title in lines[0]], lines[1:], left=1)


def _width(lines: Sequence[Sequence[object]]) -> int:
    """How many columns of a terminal a table needs: every line of it has as many cells."""
    from rich.cells import cell_len

    return sum(3 + max(cell_len(str(cell)) for cell in column) for column in zip(*lines, strict=True)) - 1


def description(found: Description) -> None:
    """Print everything about one name."""
    console = _console()
    grid = _grid(["", ""], header=False, left=2)
    for field in fields(found):
        value = getattr(found, field.name)
        if field.name != "options" and value is not None:
            label = "from" if field.name == "origin" else field.name.replace("_", " ")
            grid.add_row(_plain(label), _plain(_shown(value)))
    console.print(grid)
    if found.options:
        options = _grid(["Option", "Takes", "Default", "What it does"], left=4)
        for option in found.options:
            default = "must be given" if option.default is None else show(option.default)
            options.add_row(*map(_plain, (option.name, option.takes, default, option.help)))
        console.print(options)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {', '.join(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _draw_table(console: Console, table: tables.Table) -> None:
    grid = _grid(["Method", *(column.title for column in table.columns), "s / image", "Cells"], title=table.noise)
    for line in table.lines:
        marked = [_mark(line, column) for column in table.columns]
        seconds = "–" if line.seconds is None else f"{line.seconds:.2f}"
        grid.add_row(_plain(line.method), *marked, seconds, line.cells)
    console.print(grid)
    for note in table.notes:
        console.print(note, style="yellow", markup=False, highlight=False)


def _mark(line: tables.Line, column: tables.Column) -> Any:
    from rich.text import Text

    style = "bold" if column.metric in line.best else "underline" if column.metric in line.second else ""
    return Text.assemble((column.show(line.means[column.metric]), style))  # a span: the padding stays plain


def _draw_timing(console: Console, record: TimingRecord) -> None:
    titles, rows = summary.titles(record), summary.cells(record)
    tight = _width([titles, *rows]) > console.width
    shown = [title.replace(" ", "\n") if tight else title for title in titles]
    grid = _grid(shown, title=f"timing · {summary.heading(record)}", tight=tight)
    for row in rows:
        grid.add_row(*map(_plain, row))
    console.print(grid)
    for note in summary.notes(record):
        console.print(note, style="yellow", markup=False, highlight=False)


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


def _grid(titles: Any, *, title: str = "", header: bool = True, left: int = 1, tight: bool = False) -> RichTable:
    from rich import box
    from rich.table import Table

    grid = Table(
        title=_plain(title) if title else None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        show_header=header, pad_edge=False, collapse_padding=tight,
    )  # fmt: skip
    for index, name in enumerate(titles):
        grid.add_column(_plain(name), justify="left" if index < left else "right", overflow="fold")
    return grid


def _plain(text: object) -> Any:
    """A text that neither rich nor a terminal reads commands in: names may hold anything. One with a style keeps it."""
    from rich.text import Text

    return text if isinstance(text, Text) else Text("\n".join(map(printable, str(text).split("\n"))))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
