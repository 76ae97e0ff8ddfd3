"""The coordinator: the one process that knows the plan and writes the store. Cells are committed as they finish."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from mdnbench import environment
from mdnbench.data import folders
from mdnbench.engine import engines, pending
from mdnbench.engine.loop import Batch
from mdnbench.engine.schedule import JobQueue, Schedule
from mdnbench.engine.tasks import Job, Setup, Task
from mdnbench.listener import Listener
from mdnbench.planning import Plan, Work
from mdnbench.records import Cell, MetricScore, Outcome, Tally
from mdnbench.specs import MetricSpec
from mdnbench.stopping import Stop
from mdnbench.store import RunRow, Store, kept

DEFINING = {
    "dataset_digest": "images",
    "noises": "noises",
    "methods": "methods",
    "metrics": "metrics",
    "seeds": "seeds",
    "protocol_hash": "rules",
    "noise_info": "noise information",
}  # facts that make a run another one, and what they are called


@dataclass
class Coordinator:
    """Runs the cells of a plan and commits what comes of them."""

    plan: Plan
    store: Store
    unavailable: Mapping[str, str]
    listener: Listener = field(default_factory=Listener)

    def __post_init__(self) -> None:
        self.tally = Tally()
        self._rule = self.plan.protocol.scoring.digest
        self._provenances = [provenance_of(self.plan, work) for work in self.plan.works]
        self._metrics = tuple(name for name in self.plan.metrics if name not in self.unavailable)
        self._setup = setup_of(self.plan)
        self._engine = engines.make(self.plan, self._setup, self._metrics, self.listener.note)
        self._facts = facts(self.plan, self.unavailable)
        if note := replacement(self.store.run(self.plan.name), self._facts):
            self.listener.note(note)
        self._run = self.store.start_run(self.plan.name, self.plan.size, self._facts)

    def compute(self, stop: Stop) -> Tally:
        """Run every cell that the store does not answer; committed batch by batch."""
        self.listener.begin("cells", self.plan.size)
        for work in self.plan.works:
            if work.skip:
                self._skip(work)
        schedule = Schedule(self._queue(work) for work in self.plan.works if not work.skip)
        with closing(self._engine.run(schedule, stop)) as batches:
            for batch in batches:
                self._save(batch)
                self._tell([task.cell for task in self._engine.running()])
        self.tally = dataclasses.replace(self.tally, peak_worker_bytes=self._engine.peak_bytes())
        if machines := self._engine.machines():
            self.store.amend_run(self._run, self._facts | environment_of(machines, self._facts))
        if not stop.requested:
            self.store.finish_run(self._run)
        self.listener.end("cells")
        return self.tally

    def _queue(self, work: Work) -> JobQueue:
        pixels = sum(image.pixels for image in self.plan.images) * self.plan.request.seeds
        tasks = pending.tasks(self.plan, work, self.store, self._metrics, self._found)
        return JobQueue(work.index, tasks, pixels, self._setup.model(work.index))

    def _found(self, cells: list[tuple[int, int, Cell]]) -> None:
        with self.store.transaction():
            self.store.add_cells(self._run, cells)
        self._count("cached", len(cells))
        self._tell([])

    def _skip(self, work: Work) -> None:
        self.listener.note(f"{work.named} is skipped: {work.skip}")
        provenance = self._provenances[work.index]
        with self.store.transaction():
            for position, cell in self.plan.cells(work):
                outcome = Outcome(cell.output, "skipped", work.skip)
                self.store.add_cells(self._run, [(position, self._write(cell, outcome, provenance), cell)])
            self._count("skipped", self.plan.cells_per_work)

    def _save(self, batch: Batch) -> None:
        for _, outcome in batch:
            if outcome.image is not None:
                kept.keep(self.store.images, outcome.output_digest, outcome.image)
        with self.store.transaction():
            cells = [(task.position, self._save_one(task, outcome), task.cell) for task, outcome in batch]
            self.store.add_cells(self._run, cells)

    def _save_one(self, task: Task, outcome: Outcome) -> int:
        outcome = dataclasses.replace(outcome, image=None, scores=outcome.scores + self._unscored(outcome))
        self._count(_kind(task, outcome))
        if outcome.status == "ok" and not outcome.output_digest:  # only scored
            identity = self.store.outputs([task.cell.output])[task.cell.output].id
            self.store.save_scores(identity, outcome, self._rule, self.plan.revisions)
            return identity
        provenance = self._provenances[task.job]
        if outcome.machine:
            provenance = provenance | {"machine": outcome.machine}
        return self._write(task.cell, outcome, provenance)

    def _write(self, cell: Cell, outcome: Outcome, provenance: Mapping[str, Any]) -> int:
        """Store an outcome. Unless `fresh`, a stored output that is ok stays so, whatever a later attempt comes to."""
        fresh = self.plan.request.fresh
        if outcome.status != "ok" and not fresh:
            known = self.store.outputs([cell.output]).get(cell.output)
            if known and known.status == "ok":
                self.store.save_scores(known.id, self._marked(outcome), self._rule, self.plan.revisions)
                return known.id
        return self.store.save(cell, outcome, self._rule, self.plan.revisions, provenance, fresh=fresh)

    def _marked(self, outcome: Outcome) -> Outcome:
        """An attempt that came to nothing, with its status and reason for each metric that it was to give."""
        scores = tuple(MetricScore(name, outcome.status, reason=outcome.reason) for name in self._metrics)
        return dataclasses.replace(outcome, scores=scores)

    def _unscored(self, outcome: Outcome) -> tuple[MetricScore, ...]:
        if outcome.status != "ok":
            return ()
        return tuple(MetricScore(name, "skipped", reason=reason) for name, reason in self.unavailable.items())

    def _count(self, kind: str, number: int = 1) -> None:
        self.tally = dataclasses.replace(self.tally, **{kind: getattr(self.tally, kind) + number})

    def _tell(self, running: list[Cell]) -> None:
        failed = f"{self.tally.failed} failed" if self.tally.failed else ""
        doing = [f"{cell.method} {cell.image}" for cell in running]
        self.listener.progress("cells", self.tally.done, doing, failed)


def _kind(task: Task, outcome: Outcome) -> str:
    """The tally that a finished task belongs to; an output that was only scored has no digest of its own."""
    if outcome.status == "ok":
        return "rescored" if task.kept is not None and not outcome.output_digest else "computed"
    return "skipped" if outcome.status == "skipped" else "failed"


def replacement(earlier: RunRow | None, facts: Mapping[str, Any]) -> str:
    """What to say where a run takes the name of an earlier one that was something else; nothing where it was not."""
    if earlier is None:
        return ""
    unlike = [what for key, what in DEFINING.items() if _plain(earlier.facts.get(key)) != _plain(facts[key])]
    if not unlike:
        return ""
    when = earlier.created[:16].replace("T", " ")
    return (
        f"this run takes the place of run {earlier.name!r} of {when}, which had other {', '.join(unlike)}. What was "
        "computed stays in the store; another --out keeps both."
    )


def _plain(fact: Any) -> Any:
    return sorted(fact) if isinstance(fact, Mapping) else fact


def setup_of(plan: Plan) -> Setup:
    """What the workers of a plan are given, once each."""
    return Setup(
        plan.registry.files,
        dataset_folder(plan) or plan.dataset.name,
        plan.protocol,
        plan.device,
        tuple(Job(work.noise.named, work.named, work.weights) for work in plan.works),
        plan.registry.revisions,
    )


def provenance_of(plan: Plan, work: Work) -> dict[str, Any]:
    """What stands behind a work's outputs: revisions, versions, weights, machine."""
    spec = work.spec
    return {
        "revision": spec.revision,
        "noise_revision": work.noise.spec.revision,
        "input_rule": plan.protocol.input.digest,
        "packages": environment.versions(("numpy", "torch")) | work.packages,
        "weights": work.weights.name if work.weights else "",
        "weights_digest": work.weights.sha256 if work.weights else "",
        "plugin": plan.registry.denoisers.entry(spec.name).door.address,
        "device": plan.device,
        "machine": environment.machine_id(),
        "mdnbench": environment.revision(),
    }


def dataset_folder(plan: Plan) -> str:
    """The folder that the images come from; empty for a plugin's data set."""
    asked, known = plan.request.data, plan.registry.datasets
    is_folder = plan.dataset.name not in known or (bool(asked) and asked not in known)
    return folders.absolute(asked) if is_folder else ""


def facts(plan: Plan, unavailable: Mapping[str, str]) -> dict[str, Any]:
    """What defines a run: everything that stands above its tables, and what `check` holds against a baseline."""
    return {
        "dataset": plan.dataset.name,
        "dataset_digest": plan.dataset_digest,
        "dataset_folder": dataset_folder(plan),
        "images": {image.id: image.digest for image in plan.images},
        "protocol": plan.protocol.name,
        "protocol_hash": plan.protocol.hash,
        "rules": _rules(plan),
        "scoring_rule": plan.protocol.scoring.digest,
        "metrics": plan.revisions,
        "metric_facts": {name: _metric_facts(spec) for name, spec in plan.metrics.items()},
        "unavailable": dict(unavailable),
        "seeds": plan.request.seeds,
        "noise_info": plan.request.noise_info,
        "noises": {noise.named.text: noise.spec.revision for noise in plan.noises},
        "methods": {work.named.text: _method_facts(work) for work in plan.works},
        "device": plan.device,
        "notes": [*plan.notes, *weights_notes(plan)],
        "environment": environment.facts(plan.device),
    }


def environment_of(machines: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run that other machines computed: their environment in place of the coordinator's."""
    found = list(machines.values())
    processors = list(dict.fromkeys(each["cpu"] for each in found))
    notes = [f"the cells ran on {len(found)} machines: {', '.join(processors)}."] if len(found) > 1 else []
    if len(processors) > 1:
        notes.append("different processors may differ in a score's last digits.")
    merged = {**found[0], "cpu": ", ".join(processors)}
    return {"environment": merged, "machines": dict(machines), "notes": [*facts["notes"], *notes]}


def _rules(plan: Plan) -> dict[str, Any]:
    """The protocol in full, so that kept outputs can be scored by it again when its file is gone."""
    protocol = plan.protocol
    return {
        "version": protocol.version,
        "input": dataclasses.asdict(protocol.input),
        "scoring": dataclasses.asdict(protocol.scoring),
    }


def _method_facts(work: Work) -> dict[str, Any]:
    return {
        "revision": work.spec.revision,
        "packages": work.packages,
        "wants": work.spec.wants,
    }


def _metric_facts(spec: MetricSpec) -> dict[str, Any]:
    return {
        "direction": spec.direction,
        "unit": spec.unit,
        "digits": spec.digits,
        "tolerance": spec.tolerance,
        "packages": environment.versions(spec.packages),
    }


def weights_notes(plan: Plan) -> list[str]:
    """One line for each learned method: which weights it used, for which noises."""
    used: dict[str, list[str]] = {}
    for work in plan.works:
        if work.weights:
            note = f", {work.note}" if work.note else ""
            text = f"{work.named}: weights {work.weights.name} ({work.weights.sha256[:12]}{note})"
            used.setdefault(text, []).append(work.noise.named.text)
    several = len(plan.noises) > 1
    return [f"{text} for {', '.join(noises)}" if several else text for text, noises in used.items()]
