"""A finished run's results, read from the store, and the tables made of them.

`analysis`, `timing`, `api`, `cli` and reporters import it. Start with `run.py` and `tables.py`.
"""

from __future__ import annotations

from mdnbench.results.run import Results, find

__all__ = ["Results", "find"]
