"""Print the results of a run as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.results import grids, tables
from mdnbench.results.render import terminal
from mdnbench.results.render.terminal import say
from mdnbench.spec.names import counted
from mdnbench.timing import summary

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.spec.records import Tally


def draw(results: Results) -> None:
    """Print a run's tables (grids if there are many), its timing, its notes, and the folder of its files."""
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
    """Print a grid for each metric in place of a table for each noise, as a heat map if the terminal has colours."""
    for grid in grids.of_run(results.run, results.means):
        terminal.render(grid)
    say("* best under its noise; the brighter, the nearer to it; the tables of each noise are in table.md", "dim")
    for each in results.tables:
        for note in each.notes:
            say(f"{each.caption}: {note}", "yellow")


def _ending(results: Results) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in results.counts.items())
    lost = f", {counted(results.failed_scores, 'score')} failed" if results.failed_scores else ""
    return f"{counts}{lost}{_sources(results.tally)}. Files: {results.folder}"


def _sources(tally: Tally | None) -> str:
    if tally is None:
        return ""
    rescored = f", {tally.rescored} rescored from stored outputs" if tally.rescored else ""
    failed = f", {tally.failed} failed" if tally.failed else ""
    return f"; {tally.cached} from the store{rescored}, {tally.computed} computed{failed}"
