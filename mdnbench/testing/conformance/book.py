"""The book of rules: which hold for which kind, in the order in which they are looked at."""

from __future__ import annotations

from mdnbench.testing.conformance import (
    contract,
    datasets,
    honesty,
    isolation,
    learned,
    metrics,
    noises,
    purity,
    reporters,
)
from mdnbench.testing.conformance.rule import Kind, Rule

REBUILD = "rebuild"  # the one rule that takes two processes: the kit itself looks at it
REBUILD_SUMMARY = "A worker that builds it anew, from its file and name, gets the same output to the last bit"

RULES: dict[Kind, tuple[Rule, ...]] = {
    "method": (
        contract.LICENCE, contract.CITATION, *contract.RULES, *learned.RULES, *purity.RULES, *honesty.RULES,
        *isolation.RULES,
    ),
    "noise": noises.RULES,
    "metric": metrics.RULES,
    "data set": datasets.RULES,
    "reporter": reporters.RULES,
}  # fmt: skip


def names(kind: Kind) -> tuple[str, ...]:
    """The names of a kind's rules, the rebuild last."""
    rules = tuple(rule.name for rule in RULES[kind])
    return rules if kind == "reporter" else (*rules, REBUILD)


def summary(kind: Kind, name: str) -> str:
    """What a rule asks, in a line."""
    return REBUILD_SUMMARY if name == REBUILD else find(kind, name).summary


def find(kind: Kind, name: str) -> Rule:
    """A rule by its name."""
    return next(rule for rule in RULES[kind] if rule.name == name)
