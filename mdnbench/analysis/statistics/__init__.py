"""Statistics of runs: means with intervals, and paired comparisons of methods."""

from __future__ import annotations

from mdnbench.analysis.statistics.comparison import compare
from mdnbench.analysis.statistics.findings import Comparison, Family, sentences, tables_of

__all__ = ["Comparison", "Family", "compare", "sentences", "tables_of"]
