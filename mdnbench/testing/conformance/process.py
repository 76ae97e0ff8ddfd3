"""The inside of the process that the rules are looked at in: a clean one for each source, as methods have."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.engine import method, orders, state
from mdnbench.testing.conformance import book, learned
from mdnbench.testing.conformance.rule import Breach, Finding, Subject
from mdnbench.util.outside import cut

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry.discovery import Door
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What stands for a subject's output in one process; another process must get the same."""

    text: str


@dataclass(frozen=True, slots=True)
class Exam:
    """What the rules are looked at with: sources by subject, weights of learned methods by name, a folder to write in.

    `scores` are those of a pair of images, made where no plugin has run: see `isolation.scores`.
    """

    doors: Mapping[Subject, Door]
    weights: Mapping[str, Weights]
    scratch: Path
    scores: tuple[float, ...]


class Examiner:
    """A source, imported as a method process imports it, and the subjects that it brings. Public methods are orders."""

    def __init__(self, exam: Exam) -> None:
        self._exam = exam
        self._before = state.now()
        self._opened: dict[Subject, Any] = {}

    def examine(self, subject: Subject, rule: str) -> Finding | Fingerprint:
        """Look at one rule; whatever a plugin raises becomes a finding."""
        from mdnbench.errors import DataMissing, Unavailable

        try:
            if subject not in self._opened:
                self._opened[subject] = self._open(subject)
            loaded = self._opened[subject]
            if rule == FINGERPRINT:
                return Fingerprint(loaded.fingerprint())
            book.find(subject.kind, rule).check(loaded)
        except (Unavailable, DataMissing) as error:
            return Finding(subject, rule, "skipped", came=str(error))
        except Breach as breach:
            return Finding(subject, rule, "broken", breach.expected, breach.came, breach.mend)
        except BaseException as error:
            came = cut(f"{type(error).__name__}: {error}")
            return Finding(subject, rule, "broken", "no error", came, "call it by hand as the rule does.")
        finally:
            state.restore(self._before)
        return Finding(subject, rule, "kept")

    def _open(self, subject: Subject) -> Any:
        from mdnbench import registry
        from mdnbench.testing.conformance import datasets, methods, metrics, noises, reporters

        name, known = subject.name, registry.load_source(self._exam.doors[subject])
        match subject.kind:
            case "method":
                spec = known.denoisers[name]
                return methods.Method(spec, self._weights(spec), self._before, self._exam.scores)
            case "noise":
                return noises.Noise(known.noises[name], self._before)
            case "metric":
                return metrics.Metric(known.metric(name), self._before)
            case "data set":
                return datasets.Dataset(known.datasets[name])
            case "reporter":
                return reporters.Reporter(known.reporters[name], self._exam.scratch / "workspace")

    def _weights(self, spec: DenoiserSpec) -> Weights | None:
        """Return a method's weights; where it has none and needs some, those of an untrained network."""
        if spec.name in self._exam.weights or not spec.trainable:
            return self._exam.weights.get(spec.name)
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(sys.stderr),
        ):  # the rules will tell what is wrong
            return learned.untrained(spec, self._exam.scratch / "weights")
        return None


def serve(connection: Connection, exam: Exam) -> None:
    """Take orders to look at rules."""

    def make() -> Examiner:
        method.begin(method.Settings("cpu"))
        return Examiner(exam)

    orders.serve(connection, make)
