"""Published and claimed numbers beside the measured ones."""

from __future__ import annotations

from mdnbench.analysis.published.claims import Claim, Claims, compare

__all__ = ["Claim", "Claims", "compare"]
