"""What writing a run down costs, in each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mdnbench import Results, api
from mdnbench.store import queries


@pytest.mark.parametrize("form", ["md", "csv", "json", "latex", pytest.param("html", marks=pytest.mark.full)])
def test_reporters(form: str, finished: Results, benchmark: Any, figure: Any, tmp_path: Path) -> None:
    """The methods of the run stand in what was written."""
    (path,) = benchmark.pedantic(api.report, args=(finished, [form]), kwargs={"folder": tmp_path}, rounds=3)
    written = path.read_text(encoding="utf-8")
    assert "median" in written
    assert "noisy" in written
    if benchmark.enabled:
        figure(f"report `{form}` of 8 cells", benchmark.stats.stats.median, "s")


def test_means(finished: Results, benchmark: Any) -> None:
    """The rows of a table, read from the store: as many cells as the run has."""
    rows = benchmark(queries.means, finished.store, finished.run)
    assert sum(row.ok for row in rows) == 8


def test_cells(finished: Results, benchmark: Any) -> None:
    """The cells of a run, read from the store one by one, each with its scores."""
    rows = benchmark(lambda: list(queries.cells(finished.store, finished.run)))
    assert {row.value("psnr") is not None for row in rows} == {True}
