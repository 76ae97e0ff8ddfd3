"""The types of the check: a rule, what it applies to, its breach, and the finding about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

FindingState = Literal["kept", "broken", "skipped"]
SubjectKind = Literal["method", "noise", "metric", "data set", "reporter"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to check that a plugin contains: its kind and name."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one rule for one subject.

    Attributes:
        subject: What was checked.
        rule: The name of the rule.
        state: "kept", "broken" or "skipped".
        expected: What the rule expected, if it is broken.
        got: What was found instead, or the reason why the rule was skipped.
        fix: How to fix the plugin.
    """

    subject: Subject
    rule: str
    state: FindingState
    expected: str = ""
    got: str = ""
    fix: str = ""

    def __str__(self) -> str:
        if self.state == "kept":
            return f"{self.subject}: {self.rule} is kept"
        if self.state == "skipped":
            return f"{self.subject}: {self.rule} was not looked at: {self.got}"
        return f"{self.subject}: {self.rule} is broken\nexpected: {self.expected}\ngot: {self.got}\nfix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of every rule for everything that a plugin brings."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that plugins of one kind have to keep.

    Attributes:
        name: The rule's name.
        check: Called with the loaded subject; raises Breach if the rule is broken.
        gate: Whether later rules are skipped when this one is broken, because they would fail for the same reason.
    """

    name: str
    check: Callable[[Any], None]
    gate: bool = False

    @property
    def summary(self) -> str:
        """Return what the rule demands: the first line of its function's docstring."""
        return (self.check.__doc__ or "").partition("\n")[0].rstrip(".")


class RuleBroken(Exception):
    """A rule is broken.

    The arguments are what was expected, what was found instead, and how to fix it.
    """

    def __init__(self, expected: str, got: str, fix: str) -> None:
        super().__init__(expected, got, fix)
        self.expected, self.got, self.fix = expected, got, fix
