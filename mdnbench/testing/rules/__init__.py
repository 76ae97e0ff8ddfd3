"""The conformance rules: what every plugin has to keep, and the check that finds which rules are broken."""

from __future__ import annotations

from mdnbench.testing.rules.rule import Finding, Subject
from mdnbench.testing.rules.runner import check, load, subjects_of

__all__ = ["Finding", "Subject", "check", "load", "subjects_of"]
