"""A finished run's results, and the tables made of them."""

from __future__ import annotations

from mdnbench.results.run import Results, find

__all__ = ["Results", "find"]
