"""Rescoring: a run's kept outputs under other scoring rules and metric settings. No method runs again.

The scores are stored under their own rule and metric, beside the run's; asking again computes nothing anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mdnbench import planning
from mdnbench.data import folders
from mdnbench.engine.local import LocalEngine
from mdnbench.engine.schedule import JobQueue, Schedule
from mdnbench.engine.tasks import Job, Setup, Task
from mdnbench.errors import BadOption, DataMissing, MdnbenchError, NothingToDo, UnknownName, UsageError
from mdnbench.evaluation import protocols
from mdnbench.planning import environment
from mdnbench.planning.identity import METRIC, MetricIdentity
from mdnbench.results.score_shifts import ScoringChoice, Shift, shifts_of
from mdnbench.spec.names import Named
from mdnbench.spec.records import Cell, MetricScore, Outcome
from mdnbench.store import stored_images
from mdnbench.store.score_array import revision_of
from mdnbench.util.digests import of_pixels
from mdnbench.util.limits import RESCORED_IMAGE_S

if TYPE_CHECKING:
    from mdnbench.evaluation.protocols import Protocol
    from mdnbench.registry import Registry
    from mdnbench.results import Results
    from mdnbench.spec.records import NoiseInfoSource
    from mdnbench.spec.specs import DatasetSpec
    from mdnbench.store import CellRow
    from mdnbench.util.interrupts import Stop
    from mdnbench.util.listener import Listener

ALL = "all"
PHASE = "scores"
CHUNK = 256


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One way to score: a protocol's scoring rule with the run's metrics, or the run's own with one metric setting.

    `metrics` says of each metric which one of the run it is set beside: itself, or, for a setting, the plain one.
    """

    name: str
    summary: str
    protocol: Protocol
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleScores:
    """What is scored under one rule: all metrics and settings that any choice asks of it, and what is missing."""

    protocol: Protocol
    revisions: Mapping[str, str]
    tasks: tuple[tuple[int, Task], ...]


@dataclass(frozen=True, slots=True)
class Rescored:
    """What came of a rescoring: the shifts, and how many outputs were kept of how many.

    `computed` counts what was scored now, once for each output and rule, and `failed` has a line for each where it
    went wrong; the store answered for the others.
    """

    run: str
    protocol: str
    choices: tuple[ScoringRequest, ...]
    shifts: tuple[Shift, ...]
    kept: int
    outputs: int
    computed: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class Rescoring:
    """Scores the kept outputs of a run again.

    `dataset` is the folder of images where the run was on a person's own; `jobs` the number of workers (0: one per
    core).
    """

    found: Results
    known: Registry
    dataset: str = ""
    jobs: int = 0
    _computed: int = 0
    _failed: list[str] = field(default_factory=list)
    _identity: MetricIdentity = field(init=False)

    def run(self, scoring: Sequence[str], listener: Listener, stop: Stop) -> Rescored:
        """Score under what `scoring` names: protocols, files of protocols, metric settings, or 'all' of them.

        NothingToDo where no output was kept, or every name is the run's own way.
        """
        choices, notes = choose(self.found, scoring, self.known)
        rows, outputs = self._kept()
        self._check(rows, outputs, choices)
        spec = _dataset(self.found, self.dataset, self.known)
        self._identity = MetricIdentity(self.known, _metrics_of(choices), self.found.store)
        self._identity.begin()
        batches = [self._batch(protocol, metrics, rows) for protocol, metrics in _by_rule(choices)]
        listener.begin(PHASE, sum(len(batch.tasks) for batch in batches))
        for batch in batches:
            if batch.tasks and not stop.requested:
                self._score(batch, spec, listener, stop)
        listener.end(PHASE)
        ways = [ScoringChoice(choice.name, choice.protocol.scoring.digest, choice.metrics) for choice in choices]
        label = self.found.run.facts.made_under.label
        return Rescored(
            self.found.name, label, tuple(choices), tuple(shifts_of(self.found, ways)), len(rows), outputs,
            self._computed, tuple(self._failed), tuple(notes),
        )  # fmt: skip

    def _kept(self) -> tuple[list[CellRow], int]:
        """The cells whose outputs are kept and whole, and how many cells are ok."""
        folder = self.found.store.images
        good = [row for row in self.found.rows() if row.status == "ok"]
        return [row for row in good if stored_images.load(folder, row.output_digest) is not None], len(good)

    def _check(self, rows: Sequence[CellRow], outputs: int, choices: Sequence[ScoringRequest]) -> None:
        if not rows:
            raise NothingToDo(
                f"none of the {outputs} outputs of run {self.found.name!r} were kept, so that nothing can be scored "
                "again; run it again with --fresh --keep-images all."
            )
        if not choices:
            raise NothingToDo(f"every way to score that was named is that of run {self.found.name!r} already.")

    def _batch(self, protocol: Protocol, metrics: Sequence[str], rows: Sequence[CellRow]) -> RuleScores:
        revisions = {name: revision_of(self.found.run, name) for name in metrics}
        return RuleScores(protocol, revisions, tuple(self._tasks(protocol.scoring.digest, revisions, rows)))

    def _tasks(self, rule: str, revisions: Mapping[str, str], rows: Sequence[CellRow]) -> Iterator[tuple[int, Task]]:
        """What the store does not answer yet: (output id, task)."""
        store, noises = self.found.store, list(self.found.run.facts.noises)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            stored = store.outputs([row.output for row in chunk])
            scored = store.scored([each.id for each in stored.values()], rule, revisions)
            for number, row in enumerate(chunk, start=start):
                identity = stored[row.output].id
                missing = tuple(name for name in revisions if name not in scored.get(identity, set()))
                if missing:
                    path = stored_images.path_of(store.images, row.output_digest)
                    yield identity, Task(number, _cell(row), noises.index(row.noise), 1, missing, False, path)

    def _score(self, batch: RuleScores, spec: DatasetSpec, listener: Listener, stop: Stop) -> None:
        """Hand a batch to workers, and commit its scores as they come."""
        identities = {task.position: identity for identity, task in batch.tasks}
        noises = [self.known.noise(text) for text in self.found.run.facts.noises]
        known, folder = self.known, self.dataset or self.found.run.facts.dataset_folder
        own_folder = bool(folder) and folder not in known.datasets
        setup = Setup(
            dataset=folders.absolute(folder) if own_folder else spec.name,
            dataset_source=None if own_folder else known.datasets.entry(spec.name).source,
            protocol=batch.protocol,
            device="cpu",
            jobs=tuple(Job(noise, known.noises.entry(noise.name).source, Named("", (), "")) for noise in noises),
            metrics={name: self._identity.source(name) for name in batch.revisions},
            revisions=known.revisions,
            timeout=RESCORED_IMAGE_S,
            plugins=known.files,
        )
        engine = LocalEngine(setup, self.jobs or environment.cores())
        for ended in engine.run(Schedule(_queues([task for _, task in batch.tasks])), stop):
            if ended:
                with self.found.store.transaction():
                    for task, outcome in ended:
                        self._save(batch, identities[task.position], task, outcome)
            listener.progress(PHASE, self._computed + len(self._failed))

    def _save(self, batch: RuleScores, identity: int, task: Task, outcome: Outcome) -> None:
        outcome = dataclasses.replace(outcome, scores=tuple(self._checked(each, outcome) for each in outcome.scores))
        if outcome.status == "ok":
            self.found.store.save_scores(identity, outcome, batch.protocol.scoring.digest, batch.revisions)
        if wrong := "; ".join(_problems(outcome)):
            self._failed.append(f"{task.cell.method} on {task.cell.image}: {wrong}")
        else:
            self._computed += 1

    def _checked(self, score: MetricScore, outcome: Outcome) -> MetricScore:
        """Return the score, or a failed one if the metric's code is not what it was when the rescoring began."""
        files = outcome.used.get(f"{METRIC} {score.metric}")
        if score.status != "ok" or not files:
            return score
        try:
            self._identity.record(score.metric, files)
        except MdnbenchError as error:
            return MetricScore(score.metric, "failed", reason=f"{type(error).__name__}: {error}")
        return score


def _metrics_of(choices: Iterable[ScoringRequest]) -> list[str]:
    return list(dict.fromkeys(name for choice in choices for name in choice.metrics))


def _problems(outcome: Outcome) -> Iterator[str]:
    """What went wrong with a scoring: with all of it, or with single metrics; one that was skipped did not go wrong."""
    if outcome.status != "ok":
        yield f"{outcome.status}: {outcome.reason}"
    for score in outcome.scores:
        if score.status not in ("ok", "skipped"):
            yield f"{score.metric} {score.status}: {score.reason}"


def choose(found: Results, scoring: Iterable[str], known: Registry) -> tuple[list[ScoringRequest], list[str]]:
    """The ways to score that were asked for, and why some of them are left out.

    UsageError where all are left out because their metrics are other revisions today than those of the run.
    """
    facts, own = found.run.facts, found.run.facts.made_under
    metrics = tuple(name for name in facts.metrics if name not in facts.unavailable)
    choices: list[ScoringRequest] = []
    notes: list[str] = []
    asked = list(_named(scoring, metrics, known))
    if not asked:
        raise BadOption("no way to score was named; say all, or protocols and metric settings by comma.")
    for name in asked:
        if "[" in name:
            choice, note = _setting(name, own, metrics, known)
        else:
            choice, note = _rule(name, own, metrics, choices)
        choices += [choice] if choice else []
        notes += [note] if note else []
    stale = _stale(_metrics_of(choices), found, known)
    left = list(_without(choices, stale))
    if stale and not left:
        raise UsageError(f"nothing can be scored again: {' '.join(stale.values())}")
    return left, [*notes, *stale.values()]


def _named(scoring: Iterable[str], metrics: Sequence[str], known: Registry) -> Iterator[str]:
    for name in scoring:
        if name != ALL:
            yield name
            continue
        yield from protocols.known()
        for metric in metrics:
            if "[" not in metric:
                yield from (f"{metric}[{setting.name}]" for setting in known.metrics[metric].settings)


def _rule(
    name: str, own: Protocol, metrics: tuple[str, ...], earlier: Sequence[ScoringRequest]
) -> tuple[ScoringRequest | None, str]:
    """A protocol's scoring rule, unless it is the run's or one that comes already."""
    protocol = protocols.load(name)
    other = "" if protocol.input == own.input else "; its noisy images are others, which would need a run"
    if protocol.scoring.digest == own.scoring.digest:
        return None, f"{protocol.name} scores as this run did{other}."
    for choice in earlier:
        if choice.protocol.scoring.digest == protocol.scoring.digest:
            return None, f"{protocol.name} scores as {choice.name} does{other}."
    scoring = dataclasses.replace(own, scoring=protocol.scoring)
    note = f"{protocol.name} stands for its way of scoring alone{other}." if other else ""
    return ScoringRequest(
        protocol.name, f"output {protocol.scoring.words}", scoring, {name: name for name in metrics}
    ), note


def _setting(name: str, own: Protocol, metrics: tuple[str, ...], known: Registry) -> tuple[ScoringRequest | None, str]:
    """A metric's setting under the run's own rule, unless it cannot be computed here."""
    spec = known.metric(name)
    if (metric := name.partition("[")[0]) not in metrics:
        raise UnknownName("metric in the run", metric, metrics)
    if spec.prepare and (reason := spec.prepare(False)):
        return None, f"{name} is left out: {reason}"
    return ScoringRequest(name, spec.summary, own, {name: metric}), ""


def _stale(metrics: Iterable[str], found: Results, known: Registry) -> dict[str, str]:
    """Return a note on each metric that is not what it was for the run: its scores cannot stand next to the run's."""
    names, run = tuple(metrics), found.run
    today = MetricIdentity(known, names, found.store).scored_as
    notes = {}
    for name in names:
        before, (revision, _, _) = revision_of(run, name), today[name].rpartition("+")
        if before == today[name]:
            continue
        earlier = run.facts.metrics.get(name, run.facts.metrics.get(name.partition("[")[0]))
        if earlier != revision:
            notes[name] = (
                f"{name} is left out: run {run.name!r} was scored by its revision {earlier!r}, and here it is "
                f"{revision!r}."
            )
        else:
            notes[name] = f"{name} is left out: its code has changed since run {run.name!r} was scored; run it again."
    return notes


def _without(choices: Iterable[ScoringRequest], metrics: Collection[str]) -> Iterator[ScoringRequest]:
    """The choices without these metrics, but for those that have no other."""
    for choice in choices:
        left = {name: beside for name, beside in choice.metrics.items() if name not in metrics}
        if left:
            yield dataclasses.replace(choice, metrics=left)


def _by_rule(choices: Iterable[ScoringRequest]) -> list[tuple[Protocol, list[str]]]:
    """The choices by their scoring rule, so that a worker that has an image in hand does all that rule asks for."""
    groups: dict[str, tuple[Protocol, list[str]]] = {}
    for choice in choices:
        _, metrics = groups.setdefault(choice.protocol.scoring.digest, (choice.protocol, []))
        metrics += [name for name in choice.metrics if name not in metrics]
    return list(groups.values())


def _dataset(found: Results, folder: str, known: Registry) -> DatasetSpec:
    """The run's data set; UsageError for another one, DataMissing where its images are not those of the run."""
    facts = found.run.facts
    if folder in known.datasets and folder != facts.dataset:
        raise UsageError(
            f"run {found.name!r} was made on {facts.dataset}, not on {folder}; --dataset takes the folder of its "
            "images."
        )
    folder = folder or facts.dataset_folder
    if not folder and facts.dataset not in known.datasets:
        raise DataMissing(
            f"run {found.name!r} was made on a folder of images ({facts.dataset}); name it with --dataset FOLDER."
        )
    spec = planning.find_dataset(folder or facts.dataset, known)
    for image, digest in facts.images.items():
        if image not in spec.images or of_pixels(spec.load(image)) != digest:
            where = folder or facts.dataset
            raise DataMissing(f"image {image!r} of {where} is not the one that run {found.name!r} was made on.")
    return spec


def _cell(row: CellRow) -> Cell:
    told = cast("NoiseInfoSource", row.noise_info)
    return Cell(
        row.dataset, row.image, row.image_digest, row.noise, row.seed, row.method, told, row.case, row.output
    )  # fmt: skip


def _queues(tasks: Sequence[Task]) -> Iterator[JobQueue]:
    """One queue for each noise: what a worker keeps loaded is the metrics, which all share."""
    for job in dict.fromkeys(task.job for task in tasks):
        mine = [task for task in tasks if task.job == job]
        yield JobQueue(job, iter(mine), sum(task.pixels for task in mine))
