"""Regression checks: a run beside a baseline, and the verdict."""

from __future__ import annotations

from mdnbench.analysis.regression.verdict import Change, Gate, Update, Verdict, changes, compare

__all__ = ["Change", "Gate", "Update", "Verdict", "changes", "compare"]
