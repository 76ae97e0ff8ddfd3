"""A rule, the breach of one, and the finding that says which: the words of the kit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["kept", "broken", "skipped"]
Kind = Literal["method", "noise", "metric", "data set", "reporter"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that a plugin brings."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one rule for one subject; a skipped one says why in `came`."""

    subject: Subject
    rule: str
    state: State
    expected: str = ""
    came: str = ""
    mend: str = ""

    def __str__(self) -> str:
        if self.state == "kept":
            return f"{self.subject}: {self.rule} is kept"
        if self.state == "skipped":
            return f"{self.subject}: {self.rule} was not looked at: {self.came}"
        return f"{self.subject}: {self.rule} is broken\nexpected: {self.expected}\ncame: {self.came}\nmend: {self.mend}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of every rule for everything that a plugin brings."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a plugin has to keep: `check` returns where it is kept and raises Breach where it is not.

    `check` takes the loaded subject of its kind. Where a rule that is a `gate` is broken, the rules that follow are not
    looked at: they would only say the same in other words.
    """

    name: str
    check: Callable[[Any], None]
    gate: bool = False

    @property
    def summary(self) -> str:
        """The rule in a line: the first of what its function says of itself."""
        return (self.check.__doc__ or "").partition("\n")[0].rstrip(".")


class Breach(Exception):
    """A rule is broken: what was expected, what came, and how to mend it."""

    def __init__(self, expected: str, came: str, mend: str) -> None:
        super().__init__(expected, came, mend)
        self.expected, self.came, self.mend = expected, came, mend
