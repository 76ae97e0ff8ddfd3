"""Reporters that come with mdnbench: Markdown tables, CSV cells, JSON facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import ReporterSpec, hookimpl

if TYPE_CHECKING:
    from mdnbench.results import Results


@hookimpl
def mdnbench_reporters() -> list[ReporterSpec]:
    """The reporters `md`, `csv` and `json`."""
    return [
        ReporterSpec("md", "The tables as Markdown: table.md", _markdown),
        ReporterSpec("csv", "One line per cell: cells.csv", _csv),
        ReporterSpec("json", "What the run was and where it ran: run.json", _json),
    ]


def _markdown(results: Results, folder: Path) -> Path:
    from mdnbench_reports import markdown

    return markdown.write(results, folder)


def _csv(results: Results, folder: Path) -> Path:
    from mdnbench_reports import csv_cells

    return csv_cells.write(results, folder)


def _json(results: Results, folder: Path) -> Path:
    from mdnbench_reports import json_facts

    return json_facts.write(results, folder)
