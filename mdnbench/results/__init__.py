"""The results of a run, read from the store, and the table model in which every result is shown.

`analysis`, `timing`, `api`, `cli` and reporters import it. Start with `run.py`, then read `table.py` and `tables.py`.
"""

from __future__ import annotations

from mdnbench.results.run import Results, find

__all__ = ["Results", "find"]
