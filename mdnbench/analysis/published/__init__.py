"""Compare the results of a run with published and claimed numbers."""

from __future__ import annotations

from mdnbench.analysis.published.claims import compare
from mdnbench.analysis.published.findings import Claim, Claims, tables_of

__all__ = ["Claim", "Claims", "compare", "tables_of"]
