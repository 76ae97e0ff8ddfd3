"""The rules about a plugin's metadata: under which licence it may be used, and what to cite."""

from __future__ import annotations

from typing import Any

from mdnbench.testing.rules.rule import Breach, Rule


def licence(subject: Any) -> None:
    """A licence is given."""
    if not subject.spec.licence.strip():
        raise Breach(
            "a licence",
            "none",
            "say under which terms it may be used: licence='MIT', or the licence of the package that it wraps.",
        )


def citation(subject: Any) -> None:
    """A citation is given."""
    if not subject.spec.citation.strip():
        raise Breach(
            "a citation",
            "none",
            "name the paper (authors, title or journal, year) in `citation`, or say that there is none.",
        )


LICENCE, CITATION = Rule("papers-licence", licence), Rule("papers-citation", citation)
