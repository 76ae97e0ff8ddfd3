"""Published and claimed numbers beside the measured ones."""

from __future__ import annotations

from mdnbench.analysis.published.claims import Claim, Claims, OrderClaim, compare

__all__ = ["Claim", "Claims", "OrderClaim", "compare"]
