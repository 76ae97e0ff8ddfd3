"""Compare a run with a baseline, and decide whether it got worse."""

from __future__ import annotations

from mdnbench.analysis.regression.findings import Change, Gate, Update, Verdict
from mdnbench.analysis.regression.verdict import changes, compare

__all__ = ["Change", "Gate", "Update", "Verdict", "changes", "compare"]
