"""A finished run's results, read from the store, and the one model of a table that every result is made into.

`analysis`, `timing`, `api`, `cli` and reporters import it. Start with `run.py`, then read `table.py` and `tables.py`.
"""

from __future__ import annotations

from mdnbench.results.run import Results, find

__all__ = ["Results", "find"]
