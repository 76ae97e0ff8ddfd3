"""The results of a run, read from the store, and the table model in which every result is shown.

`analysis`, `timing`, `api`, `cli` and reporters import it. Start with `run.py`, then read `table.py` and `tables.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from mdnbench.results.run import Results, find

__all__ = ["Results", "find"]

# The table model, which every command uses to print, needs neither a store nor a run.
__getattr__, _, _ = lazy.attach(__name__, submod_attrs={"run": ["Results", "find"]})
