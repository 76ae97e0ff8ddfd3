"""The list of rules for each kind of plugin, in the order in which they are checked."""

from __future__ import annotations

from mdnbench.testing.rules import (
    cheating,
    contract,
    datasets,
    determinism,
    isolation,
    metrics,
    noises,
    reporters,
    training,
)
from mdnbench.testing.rules.rule import Rule, SubjectKind

REBUILD = "rebuild"  # the only rule that takes two processes; `kit` checks it
REBUILD_SUMMARY = "A worker that builds it anew, from its file and name, gets the same output to the last bit"

RULES: dict[SubjectKind, tuple[Rule, ...]] = {
    "method": (
        contract.LICENCE, contract.CITATION, *contract.RULES, *training.RULES, *determinism.RULES, *cheating.RULES,
        *isolation.RULES,
    ),
    "noise": noises.RULES,
    "metric": metrics.RULES,
    "data set": datasets.RULES,
    "reporter": reporters.RULES,
}  # fmt: skip


def names(kind: SubjectKind) -> tuple[str, ...]:
    """Return the names of the rules for a kind, in order; the rule about rebuilding is the last."""
    rules = tuple(rule.name for rule in RULES[kind])
    return rules if kind == "reporter" else (*rules, REBUILD)


def summary(kind: SubjectKind, name: str) -> str:
    """Return what a rule demands, in one line."""
    return REBUILD_SUMMARY if name == REBUILD else find(kind, name).summary


def find(kind: SubjectKind, name: str) -> Rule:
    """Return a rule by its name."""
    return next(rule for rule in RULES[kind] if rule.name == name)
