"""Write `cells.parquet`: a typed row per cell, for pandas, Polars, DuckDB and similar tools."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.errors import UsageError
from mdnbench.util import atomic

if TYPE_CHECKING:
    from mdnbench.results import Results


def write(results: Results, folder: Path) -> Path:
    """Write `cells.parquet` and return its path.

    Raises:
        UsageError: If pyarrow is not installed.

    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet files need pyarrow, which is not installed; run `pip install 'mdnbench[parquet]'`.")
    path = folder / "cells.parquet"
    with atomic.replacing(path) as part:
        results.cells.to_parquet(part, index=False)
    return path
