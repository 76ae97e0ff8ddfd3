"""The built-in reporters: an HTML page, Markdown and LaTeX tables, cells as CSV and Parquet, facts as JSON, figures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import Option, ReporterSpec, hookimpl

if TYPE_CHECKING:
    from mdnbench.results import Results

LIMIT = Option("limit", float, 15.0, "the size that the page stays below", "MiB", minimum=1, maximum=100)


@hookimpl
def mdnbench_reporters() -> list[ReporterSpec]:
    """Return the reporters `html`, `md`, `latex`, `csv`, `parquet`, `json` and `figures`."""
    return [
        ReporterSpec("html", "One page to open offline, with charts and pictures: report.html", _of("page"), (LIMIT,)),
        ReporterSpec("md", "The tables as Markdown: table.md", _of("markdown")),
        ReporterSpec("latex", "The tables for a paper, with booktabs: tables.tex", _of("latex")),
        ReporterSpec("csv", "One line per cell: cells.csv", _of("csv_cells")),
        ReporterSpec("parquet", "One row per cell, needs pyarrow: cells.parquet", _of("parquet")),
        ReporterSpec("json", "The facts of the run and its machine: run.json", _of("json_facts")),
        ReporterSpec("figures", "Every chart as SVG, PDF and PNG: figures/", _of("figures")),
    ]


def _of(module: str) -> Callable[..., Path]:
    """Return the `write` of one of this package's modules, which is imported on its first call."""

    def write(results: Results, folder: Path, **options: Any) -> Path:
        path: Path = importlib.import_module(f"mdnbench_reports.{module}").write(results, folder, **options)
        return path

    return write
