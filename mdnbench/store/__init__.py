"""The store: one SQLite file per workspace, written by the coordinating process alone, read by everyone.

`results`, `planning`, `engine` and what stands above them import it. Start with `database.py` and `schema.py`.
"""

from __future__ import annotations

from mdnbench.store.database import Store, open_store
from mdnbench.store.rows import CellRow, Mark, MeanRow, RunRow, TimingRow

__all__ = ["CellRow", "Mark", "MeanRow", "RunRow", "Store", "TimingRow", "open_store"]
