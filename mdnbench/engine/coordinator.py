"""The coordinator: the only process that knows the plan and writes the store. It commits cells as they finish."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

from mdnbench.data import folders
from mdnbench.engine import engines, pending, preparation
from mdnbench.engine.loop import FinishedTasks
from mdnbench.engine.schedule import JobQueue, Schedule
from mdnbench.engine.tasks import Job, Setup, Task
from mdnbench.errors import MdnbenchError, StoreError
from mdnbench.planning import Plan, PlannedMethod, environment, openings
from mdnbench.planning.identity import METRIC, CodeIdentity
from mdnbench.planning.openings import Openings
from mdnbench.registry import variants
from mdnbench.spec.records import Cell, Environment, MetricScore, Outcome, Tally
from mdnbench.spec.specs import MetricSpec
from mdnbench.store import RunRow, Store, manifests, stored_images
from mdnbench.store.facts import MethodFacts, MetricFacts, Provenance, Rules, RunFacts
from mdnbench.util.interrupts import Stop
from mdnbench.util.limits import PREPARE_S
from mdnbench.util.listener import Listener

LONG_S = 2.0  # progress shows the time of cells that take longer
NOT_SEEN = (
    "Dask workers see that a method opens a tested file only if they have that file at the same path as this machine."
)
DEFINING = {
    "dataset_digest": "images",
    "noises": "noises",
    "methods": "methods",
    "metrics": "metrics",
    "seeds": "seeds",
    "protocol_hash": "rules",
    "noise_info": "noise information",
}  # facts that make two runs different, and how messages name them


@dataclass
class Coordinator:
    """The computation of a plan, whose results it commits to a store.

    Attributes:
        plan: What to compute.
        store: Where results are stored.
        unavailable: The reasons why metrics cannot be computed, by their names.
        listener: Receives progress and notes.
    """

    plan: Plan
    store: Store
    unavailable: Mapping[str, str]
    listener: Listener = field(default_factory=Listener)

    def __post_init__(self) -> None:
        self.tally = Tally()
        self._counted: defaultdict[int, Counter[str]] = defaultdict(Counter)  # the tally of each work
        self._stopping = False
        self._noted: set[str] = set()
        self._rule = self.plan.protocol.scoring.digest
        self._provenances = [provenance_of(self.plan, work) for work in self.plan.works]
        self._metrics = tuple(name for name in self.plan.metrics if name not in self.unavailable)
        self._setup = setup_of(self.plan)
        self._engine = engines.make(self.plan, self._setup, self._metrics, self.listener.note)
        self._identity = CodeIdentity(self.plan, self.store)
        self._openings = Openings(self.plan, self.store)
        if not self.plan.request.fresh:
            for change in self._identity.changes():
                self.listener.note(str(change))
        self._revisions = self._identity.metrics.scored_as
        self._facts = facts(self.plan, self.unavailable, self._revisions)
        if note := replacement(self.store.run(self.plan.name), self._facts):
            self.listener.note(note)
        self._run = self.store.start_run(self.plan.name, self.plan.size, self._facts)
        self._identity.metrics.begin()

    def compute(self, stop: Stop) -> Tally:
        """Compute every cell that is not stored yet, and commit the results batch by batch.

        Args:
            stop: A request to stop; the cells that are being computed are finished first.

        Returns:
            How many cells were computed, taken from the store, skipped or failed.
        """
        self.listener.begin("cells", self.plan.size)
        works = []
        for work in self.plan.works:
            if work.skip:
                self._settle(work, "skipped", work.skip)
            elif name := self._openings.of(work):
                self._settle(work, "invalid", openings.reason(name))
            else:
                works.append(work)
        self._schedule = Schedule(map(self._queue, works))
        computing = [work for work in works if self._computes(work)]
        compute_here = not self.plan.request.scheduler
        preparation.prepare(self.plan, computing, self.listener, lambda: stop.requested, compute_here=compute_here)
        with closing(self._engine.run(self._schedule, stop)) as batches:
            for batch in batches:
                if batch:
                    self._save(batch)
                self._report_progress(self._engine.running(), stop)
        self.tally = dataclasses.replace(self.tally, peak_worker_bytes=self._engine.peak_bytes())
        if machines := self._engine.machines():
            self.store.amend_run(self._run, on_machines(self._facts, machines))
        if not stop.requested:
            self.store.finish_run(self._run)
        self.listener.end("cells")
        return self.tally

    def _queue(self, work: PlannedMethod) -> JobQueue:
        pixels = sum(image.pixels for image in self.plan.images) * self.plan.request.seeds
        needed = {name: self._revisions[name] for name in self._metrics}
        tasks = pending.tasks(self.plan, work, self.store, self._identity, needed, self._found)
        return JobQueue(work.index, tasks, pixels, self._setup.model(work.index))

    def _computes(self, work: PlannedMethod) -> bool:
        """Return whether the next cell of a work is to be denoised, and not only scored from a stored output."""
        task = self._schedule.queue(work.index).peek()
        return task is not None and task.kept is None

    def _found(self, cells: list[tuple[int, int, Cell]]) -> None:
        with self.store.transaction():
            self.store.add_cells(self._run, cells)
        self._count(cells[0][0] // self.plan.cells_per_work, "cached", len(cells))
        self._report_progress()

    def _settle(self, work: PlannedMethod, status: Literal["skipped", "invalid"], reason: str) -> None:
        """Give all cells of a work the same status without computing anything. What it had before does not count."""
        self._note_once(f"{work.named} is {status}: {reason}")
        provenance = self._provenances[work.index]
        for kind, number in list(self._counted[work.index].items()):
            self._count(work.index, kind, -number)
        with self.store.transaction():
            for position, cell in self.plan.cells(work):
                outcome = Outcome(cell.output, status, reason)
                self.store.add_cells(self._run, [(position, self._write(cell, work, outcome, provenance), cell)])
        self._count(work.index, "skipped" if status == "skipped" else "failed", self.plan.cells_per_work)

    def _invalidate(self, work: PlannedMethod, outcome: Outcome) -> None:
        """Make all cells of a method invalid, because it has opened a tested file, and compute no more of them.

        It may have remembered what it read, in whatever process, and the cells before may come from such a memory.
        """
        with self.store.transaction():
            self._openings.record(work, outcome.used, outcome.tested_file)
        for each in self.plan.works:
            if each.named.name == work.named.name and not each.skip:
                self._schedule.queue(each.index).clear()
                self._settle(each, "invalid", openings.reason(self._openings.of(each)))

    def _save(self, batch: FinishedTasks) -> None:
        works = self.plan.works
        for task, outcome in batch:
            if outcome.tested_file and not self._openings.of(works[task.job]):
                self._invalidate(works[task.job], outcome)
        batch = [(task, outcome) for task, outcome in batch if not self._openings.of(works[task.job])]
        for _, outcome in batch:
            if outcome.image is not None:
                stored_images.save(self.store.images, outcome.output_digest, outcome.image)
        with self.store.transaction():
            cells = [(task.position, self._save_one(task, outcome), task.cell) for task, outcome in batch]
            self.store.add_cells(self._run, cells)

    def _save_one(self, task: Task, outcome: Outcome) -> int:
        work = self.plan.works[task.job]
        outcome = self._checked(task, work, outcome)
        outcome = dataclasses.replace(outcome, image=None, scores=outcome.scores + self._unscored(outcome))
        self._count(work.index, _kind(task, outcome))
        if outcome.status == "ok" and not outcome.output_digest:  # the output was only scored again
            identity = self._stored(task.cell, work)
            assert identity is not None
            self.store.save_scores(identity, outcome, self._rule, self._revisions)
            return identity
        provenance = self._provenances[task.job]
        if outcome.machine:
            provenance = dataclasses.replace(provenance, machine=outcome.machine)
        return self._write(task.cell, work, outcome, provenance)

    def _checked(self, task: Task, work: PlannedMethod, outcome: Outcome) -> Outcome:
        """Return the outcome, or a failed one if its code or noisy image is not that of the other cells of this run."""
        for note in outcome.notes:
            self._note_once(f"{work.named}: {note}")
        if outcome.status != "ok":
            return outcome
        try:
            if outcome.output_digest:
                self._identity.record(work, outcome.used)
            self._require_one_case(task, work, outcome)
        except MdnbenchError as error:
            return Outcome(outcome.output, "failed", f"{type(error).__name__}: {error}", machine=outcome.machine)
        return dataclasses.replace(outcome, scores=tuple(self._checked_score(each, outcome) for each in outcome.scores))

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.listener.note(text)

    def _checked_score(self, score: MetricScore, outcome: Outcome) -> MetricScore:
        files = outcome.used.get(f"{METRIC} {score.metric}")
        if score.status != "ok" or not files:
            return score
        try:
            self._identity.metrics.record(score.metric, files)
        except MdnbenchError as error:
            return MetricScore(score.metric, "failed", reason=f"{type(error).__name__}: {error}")
        return score

    def _require_one_case(self, task: Task, work: PlannedMethod, outcome: Outcome) -> None:
        """Raise StoreError if a cell's noisy image differs from that of another method's cell for the same case."""
        step, methods = self.plan.cells_per_work, len(self.plan.methods)
        first = task.position - (work.index % methods) * step
        positions = [first + number * step for number in range(methods) if first + number * step != task.position]
        if not positions:
            return
        manifests = self._identity.manifests_of(work.noise)
        other = self.store.other_case(self._run, positions, manifests, outcome.noisy_digest)
        if other:
            cell = task.cell
            raise StoreError(
                f"the case of image {cell.image!r} under {cell.noise}, seed {cell.seed}, came out as another noisy "
                f"image than for {other}: a noise must draw all its random numbers from the generator that it is "
                "given. Mend the noise, and run again with --fresh."
            )

    def _stored(self, cell: Cell, work: PlannedMethod) -> int | None:
        """Return the id of a cell's stored output that is ok and belongs to the current code; None if there is none."""
        found = self.store.outputs(self._identity.keys(work, cell.output)).values()
        return next((row.id for row in found if row.status == "ok"), None)

    def _write(self, cell: Cell, work: PlannedMethod, outcome: Outcome, provenance: Provenance) -> int:
        """Store an outcome. Unless `fresh` is set, a stored output that is ok stays, even if a later attempt fails."""
        fresh = self.plan.request.fresh
        if outcome.status != "ok":
            trusted = not fresh and not self._openings.of(work)
            known = self._stored(cell, work) if trusted else None
            if known is not None:
                self.store.save_scores(known, self._marked(outcome), self._rule, self._revisions)
                return known
            return self.store.save(cell, outcome, self._rule, self._revisions, provenance, fresh=fresh)
        manifest = self._identity.record(work, outcome.used)
        key = manifests.output_key(cell.output, manifest.token)
        return self.store.save(
            cell, outcome, self._rule, self._revisions, provenance, key=key, manifest=manifest.id, fresh=fresh
        )

    def _marked(self, outcome: Outcome) -> Outcome:
        """Return a failed attempt with its status and reason for each metric that it should have given."""
        scores = tuple(MetricScore(name, outcome.status, reason=outcome.reason) for name in self._metrics)
        return dataclasses.replace(outcome, scores=scores)

    def _unscored(self, outcome: Outcome) -> tuple[MetricScore, ...]:
        if outcome.status != "ok":
            return ()
        return tuple(MetricScore(name, "skipped", reason=reason) for name, reason in self.unavailable.items())

    def _count(self, work: int, kind: str, number: int = 1) -> None:
        self._counted[work][kind] += number
        self.tally = dataclasses.replace(self.tally, **{kind: getattr(self.tally, kind) + number})

    def _report_progress(self, running: Sequence[tuple[Task, float]] = (), stop: Stop | None = None) -> None:
        """Report how many cells are done and what is running.

        Once after Ctrl-C, also report which cells are still awaited.
        """
        doing = [_words(task.cell, seconds) for task, seconds in running]
        if stop and stop.requested and not self._stopping:
            self._stopping = True
            self.listener.note(f"Waiting for {', '.join(doing) or 'nothing'}.")
        tally = self.tally
        counts = [(tally.cached, "from the store"), (tally.failed, "failed")]
        detail = ", ".join(f"{count} {what}" for count, what in counts if count)
        self.listener.progress("cells", tally.done, doing, detail)


def _words(cell: Cell, seconds: float) -> str:
    """Return what a slot is computing, with the time if that is long."""
    return f"{cell.method} {cell.image}" + (f" for {seconds:.0f} s" if seconds >= LONG_S else "")


def _kind(task: Task, outcome: Outcome) -> str:
    """Return which count of the tally a finished task belongs to. An output that was only scored has no new digest."""
    if outcome.status == "ok":
        return "rescored" if task.kept is not None and not outcome.output_digest else "computed"
    return "skipped" if outcome.status == "skipped" else "failed"


def replacement(earlier: RunRow | None, facts: RunFacts) -> str:
    """Return a note if a run replaces an earlier one of the same name with other contents.

    Args:
        earlier: The stored run of this name, if any.
        facts: The facts of the new run.

    Returns:
        The note; empty if no run is replaced, or one with the same definition.
    """
    if earlier is None:
        return ""
    before = earlier.facts
    unlike = [what for key, what in DEFINING.items() if _plain(getattr(before, key)) != _plain(getattr(facts, key))]
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
    """Return what each worker of a plan receives once."""
    known, folder = plan.registry, dataset_folder(plan)
    return Setup(
        dataset=folder or plan.dataset.name,
        dataset_source=None if folder else known.datasets.entry(plan.dataset.name).source,
        protocol=plan.protocol,
        device=plan.device,
        jobs=tuple(job_of(plan, work) for work in plan.works),
        metrics={name: known.metrics.entry(name.partition("[")[0]).source for name in plan.metrics},
        revisions=known.revisions,
        timeout=plan.request.timeout,
        prepare_s=PREPARE_S,
        memory_bytes=int(plan.request.memory * 2**30),
        plugins=known.files,
        tested=plan.tested,
    )


def job_of(plan: Plan, work: PlannedMethod) -> Job:
    """Return the description of a method under a noise that workers receive."""
    known = plan.registry
    return Job(
        noise=work.noise.named,
        noise_source=known.noises.entry(work.noise.named.name).source,
        method=work.named,
        method_source=known.denoisers.entry(work.named.name).source,
        weights=work.weights,
        wants=variants.wants(work.spec, work.named),
        packages=variants.packages(work.spec, work.named),
        prepares=work.spec.prepare is not None,
    )


def provenance_of(plan: Plan, work: PlannedMethod) -> Provenance:
    """Return what the outputs of a work depend on: revisions, versions, weights and machine."""
    spec = work.spec
    return Provenance(
        revision=spec.revision,
        noise_revision=work.noise.spec.revision,
        input_rule=plan.protocol.input.digest,
        packages=environment.versions(("numpy", "torch")) | work.packages,
        weights=work.weights.name if work.weights else "",
        weights_digest=work.weights.sha256 if work.weights else "",
        plugin=plan.registry.denoisers.entry(spec.name).source.address,
        device=plan.device,
        machine=environment.machine_id(),
        mdnbench=environment.revision(),
    )


def dataset_folder(plan: Plan) -> str:
    """Return the absolute path of the folder that the images come from; empty for a data set of a plugin."""
    asked, known = plan.request.data, plan.registry.datasets
    is_folder = plan.dataset.name not in known or (bool(asked) and asked not in known)
    return folders.absolute(asked) if is_folder else ""


def facts(plan: Plan, unavailable: Mapping[str, str], scored_as: Mapping[str, str]) -> RunFacts:
    """Return the facts that define a run: those shown with its tables, and those that `check` compares with a baseline.

    Args:
        plan: The plan of the run.
        unavailable: The reasons why metrics cannot be computed, by their names.
        scored_as: The revision under which the scores of each metric are stored.
    """
    protocol = plan.protocol
    return RunFacts(
        dataset=plan.dataset.name,
        dataset_digest=plan.dataset_digest,
        dataset_folder=dataset_folder(plan),
        images={image.id: image.digest for image in plan.images},
        protocol=protocol.name,
        protocol_hash=protocol.hash,
        rules=Rules(protocol.version, protocol.input, protocol.scoring),
        scoring_rule=protocol.scoring.digest,
        metrics=plan.revisions,
        scored_as=dict(scored_as) or plan.revisions,
        metric_facts={name: _metric_facts(spec) for name, spec in plan.metrics.items()},
        unavailable=dict(unavailable),
        seeds=plan.request.seeds,
        noise_info=plan.request.noise_info,
        noises={noise.named.text: noise.spec.revision for noise in plan.noises},
        methods={work.named.text: _method_facts(work) for work in plan.works},
        named=plan.named,
        plugins=plan.plugins,
        device=plan.device,
        notes=(
            *plan.notes,
            *weights_notes(plan),
            *stabilisation_notes(plan),
            *([NOT_SEEN] if plan.request.scheduler else []),
        ),
        environment=environment.here(plan.device),
    )


def on_machines(facts: RunFacts, machines: Mapping[str, Environment]) -> RunFacts:
    """Return the facts of a run that other machines computed: their environment replaces the coordinator's."""
    found = list(machines.values())
    processors = list(dict.fromkeys(each.cpu for each in found))
    notes = [f"the cells ran on {len(found)} machines: {', '.join(processors)}."] if len(found) > 1 else []
    if len(processors) > 1:
        notes.append("different processors may differ in a score's last digits.")
    merged = dataclasses.replace(found[0], cpu=", ".join(processors))
    return dataclasses.replace(facts, environment=merged, machines=dict(machines), notes=(*facts.notes, *notes))


def _method_facts(work: PlannedMethod) -> MethodFacts:
    return MethodFacts(work.spec.revision, work.packages, work.spec.wants)


def _metric_facts(spec: MetricSpec) -> MetricFacts:
    packages = environment.versions(spec.packages)
    return MetricFacts(spec.direction, spec.unit, spec.digits, spec.tolerance, packages)


def stabilisation_notes(plan: Plan) -> list[str]:
    """Return a line with the methods and noises for which noise is converted to white Gaussian noise, if any."""
    works = [work for work in plan.works if variants.converts(work.spec, work.named, work.noise.named)]
    if not works or plan.request.noise_info != "known":
        return []
    methods = ", ".join(dict.fromkeys(work.named.text for work in works))
    noises = ", ".join(dict.fromkeys(work.noise.named.text for work in works))
    return [f"stabilised to white Gaussian noise for {methods}: {noises}."]


def weights_notes(plan: Plan) -> list[str]:
    """Return one line for each learned method and weights file, with the noises for which it was used."""
    used: dict[str, list[str]] = {}
    for work in plan.works:
        if work.weights:
            note = f", {work.note}" if work.note else ""
            text = f"{work.named}: weights {work.weights.name} ({work.weights.sha256[:12]}{note})"
            used.setdefault(text, []).append(work.noise.named.text)
    several = len(plan.noises) > 1
    return [f"{text} for {', '.join(noises)}" if several else text for text, noises in used.items()]
