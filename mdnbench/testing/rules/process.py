"""The code that runs inside a checking process. Each source is checked in a process without other plugins."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.engine import method, orders, process_state
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.testing.rules import datasets, methods, metrics, noises, reporters, rule_table, training
from mdnbench.testing.rules.rule import Finding, RuleBroken, Subject
from mdnbench.util.untrusted import cut

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class OutputDigest:
    """A text that identifies a subject's output; it must be the same in another process."""

    text: str


@dataclass(frozen=True, slots=True)
class RuleSetup:
    """What a process needs to check rules.

    Attributes:
        sources: The sources of the plugins, by subject.
        weights: The weights of learned methods, by name.
        scratch: A folder to write to.
        scores: The scores of a pair of images, computed in a process without plugins: see `isolation.scores`.
    """

    sources: Mapping[Subject, PluginSource]
    weights: Mapping[str, Weights]
    scratch: Path
    scores: tuple[float, ...]


class RuleProcess:
    """A worker that imports a source as a method process does, and checks its subjects.

    Its public methods are the orders that the process takes.
    """

    def __init__(self, exam: RuleSetup) -> None:
        self._exam = exam
        self._before = process_state.now()
        self._opened: dict[Subject, Any] = {}

    def examine(self, subject: Subject, rule: str) -> Finding | OutputDigest:
        """Check one rule for a subject. Anything that the plugin raises becomes a finding.

        Args:
            subject: What to check.
            rule: The name of the rule, or FINGERPRINT.

        Returns:
            The finding, or the subject's fingerprint.
        """
        try:
            if subject not in self._opened:
                self._opened[subject] = self._open(subject)
            loaded = self._opened[subject]
            if rule == FINGERPRINT:
                return OutputDigest(loaded.fingerprint())
            rule_table.find(subject.kind, rule).check(loaded)
        except (Unavailable, DataMissing) as error:
            return Finding(subject, rule, "skipped", got=str(error))
        except RuleBroken as breach:
            return Finding(subject, rule, "broken", breach.expected, breach.got, breach.fix)
        except BaseException as error:
            got = cut(f"{type(error).__name__}: {error}")
            return Finding(subject, rule, "broken", "no error", got, "call it by hand as the rule does.")
        finally:
            process_state.restore(self._before)
        return Finding(subject, rule, "kept")

    def _open(self, subject: Subject) -> Any:
        name, known = subject.name, registry.load_source(self._exam.sources[subject])
        match subject.kind:
            case "method":
                spec = known.denoisers[name]
                return methods.MethodSubject(spec, self._weights(spec), self._before, self._exam.scores)
            case "noise":
                return noises.NoiseSubject(known.noises[name], self._before)
            case "metric":
                return metrics.MetricSubject(known.metric(name), self._before)
            case "data set":
                return datasets.DatasetSubject(known.datasets[name])
            case "reporter":
                return reporters.ReporterSubject(known.reporters[name], self._exam.scratch / "workspace")

    def _weights(self, spec: DenoiserSpec) -> Weights | None:
        """Return a method's weights; if it has none and needs some, those of an untrained network."""
        if spec.name in self._exam.weights or not spec.trainable:
            return self._exam.weights.get(spec.name)
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(sys.stderr),
        ):  # the rules will find what is wrong
            return training.untrained(spec, self._exam.scratch / "weights")
        return None


def serve(connection: Connection, exam: RuleSetup) -> None:
    """Take orders to check rules, until the connection is closed."""

    def make() -> RuleProcess:
        method.begin(method.Settings("cpu"))
        return RuleProcess(exam)

    orders.serve(connection, make)
