"""Statistics: means with intervals, and methods compared in pairs."""

from __future__ import annotations

from mdnbench.analysis.statistics.comparison import Comparison, Family, compare, sentences

__all__ = ["Comparison", "Family", "compare", "sentences"]
