"""Regression checks: a run beside a baseline, and the verdict."""

from __future__ import annotations

from mdnbench.analysis.regression.findings import Change, Gate, Update, Verdict
from mdnbench.analysis.regression.verdict import changes, compare

__all__ = ["Change", "Gate", "Update", "Verdict", "changes", "compare"]
