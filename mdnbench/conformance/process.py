"""The inside of the process that the rules are looked at in: a worker as runs have it, which answers one at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.conformance import book, learned
from mdnbench.conformance.rule import Breach, Finding, Subject
from mdnbench.engine import threads, worker
from mdnbench.engine.tasks import Job, Setup

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.engine.state import State
    from mdnbench.registry import Registry

FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What stands for a subject's output in one process; another process must get the same."""

    text: str


@dataclass
class _Examiner:
    """The plugins of this process, loaded as a worker loads them, and the subjects that were opened."""

    setup: Setup
    scratch: Path
    before: State
    known: Registry
    opened: dict[Subject, Any] = field(default_factory=dict)

    def answer(self, subject: Subject, rule: str) -> Finding | Fingerprint:
        """Look at one rule; whatever a plugin raises becomes a finding."""
        from mdnbench.engine.state import restore
        from mdnbench.errors import DataMissing, Unavailable

        try:
            loaded = self.opened.setdefault(subject, self._open(subject))
            if rule == FINGERPRINT:
                return Fingerprint(loaded.fingerprint())
            book.find(subject.kind, rule).check(loaded)
        except (Unavailable, DataMissing) as error:
            return Finding(subject, rule, "skipped", came=str(error))
        except Breach as breach:
            return Finding(subject, rule, "broken", breach.expected, breach.came, breach.mend)
        except BaseException as error:
            came = f"{type(error).__name__}: {error}"
            return Finding(subject, rule, "broken", "no error", came, "call it by hand as the rule does.")
        finally:
            restore(self.before)
        return Finding(subject, rule, "kept")

    def _open(self, subject: Subject) -> Any:
        from mdnbench.conformance import datasets, methods, metrics, noises, reporters

        name = subject.name
        match subject.kind:
            case "method":
                job = next(n for n, each in enumerate(self.setup.jobs) if each.method.name == name)
                return methods.Method(self.known.denoisers[name], self.setup.jobs[job].weights, self.before, job)
            case "noise":
                return noises.Noise(self.known.noises[name], self.before)
            case "metric":
                return metrics.Metric(self.known.metric(name), self.before)
            case "data set":
                return datasets.Dataset(self.known.datasets[name])
            case "reporter":
                return reporters.Reporter(self.known.reporters[name], self.scratch / "workspace")


def serve(connection: Connection, setup: Setup, scratch: Path) -> None:
    """Answer (subject, rule) with a Finding or a Fingerprint, until the other end is closed."""
    threads.prepare()
    from mdnbench import registry
    from mdnbench.engine import state

    known = registry.load(setup.plugins)
    setup = dataclasses.replace(setup, jobs=tuple(_with_weights(job, known, scratch / "weights") for job in setup.jobs))
    worker.start(setup)
    threads.hold()
    examiner = _Examiner(setup, scratch, state.now(), known)
    connection.send("ready")
    while True:
        try:
            subject, rule = connection.recv()
        except EOFError:
            return
        connection.send(examiner.answer(subject, rule))


def _with_weights(job: Job, known: Registry, folder: Path) -> Job:
    """The job; where it has no weights and needs some, with those of an untrained network."""
    spec = known.denoisers[job.method.name]
    if job.weights or not spec.trainable:
        return job
    with contextlib.suppress(Exception), contextlib.redirect_stdout(sys.stderr):  # the rules will tell what is wrong
        return dataclasses.replace(job, weights=learned.untrained(spec, folder))
    return job
