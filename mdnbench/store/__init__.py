"""The store of results: one SQLite file per workspace, which only the coordinating process writes and anyone may read.

`results`, `planning`, `engine` and the layers above them import this package. Start with `database.py` and `schema.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from mdnbench.store.database import Store, open_store
    from mdnbench.store.rows import CellRow, CheckRow, MeanRow, RunRow, TimingRow

__all__ = ["CellRow", "CheckRow", "MeanRow", "RunRow", "Store", "TimingRow", "open_store"]

# `mdnbench list` opens a store only for the list of runs.
__getattr__, _, _ = lazy.attach(
    __name__,
    submod_attrs={
        "database": ["Store", "open_store"],
        "rows": ["CellRow", "CheckRow", "MeanRow", "RunRow", "TimingRow"],
    },
)
