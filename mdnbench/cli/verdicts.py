"""Show a regression check's verdict on the terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.analysis.regression import findings
from mdnbench.results.render import markdown, terminal
from mdnbench.results.render.terminal import say

if TYPE_CHECKING:
    from mdnbench.analysis.regression import Change, Verdict

ALL = "--json"  # the option that shows everything that the terminal only counts


def show(verdict: Verdict) -> None:
    """Print the means as tables, missing cells, single images that got worse, differences and the conclusion."""
    for table in findings.tables_of(verdict):
        terminal.render(table)
    for line in findings.causes(verdict):
        say(line)
    for line in findings.grounds(verdict):
        say(line, "dim")
    for line in verdict.missing:
        say(line, "red")
    for line in findings.warnings(verdict, ALL):
        say(line, "yellow")
    say(findings.conclusion(verdict), "bold")


def show_change(change: Change | None) -> None:
    """Print what a new baseline changes."""
    if change is None:
        say("there was no baseline here yet")
        return
    for table in findings.of_gates(change.gates):
        terminal.render(table.without("Allowed", "Cells", "State"))
    for each in change.differences:
        say(f"changes: {each}")
    means = findings.many(len(change.gates), "mean changes", "means change") if change.gates else "no mean changes"
    say(f"{means}; {change.added} cells are new, {change.removed} are gone")


def as_markdown(verdict: Verdict) -> str:
    """Return the verdict as Markdown, for the summary of a CI job."""
    tables = [markdown.render(table, level=4) for table in findings.tables_of(verdict)]
    lines = [
        *findings.causes(verdict), *verdict.missing, *findings.warnings(verdict, ALL), *findings.grounds(verdict)
    ]  # fmt: skip
    listed = "\n".join(f"- {markdown.escape(line)}" for line in lines)
    parts = [f"### {markdown.escape(findings.conclusion(verdict))}", *tables, listed]
    return "\n\n".join(filter(None, parts)) + "\n"
