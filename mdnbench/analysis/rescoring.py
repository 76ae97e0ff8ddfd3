"""Score a run's kept outputs under other scoring rules and metric settings. No method runs again.

The scores are stored under their own rule and metric, next to the run's, so a second request computes nothing.
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
CHUNK = 256  # outputs that are looked up in the store at once


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One way to score.

    It is a protocol's scoring rule with the run's metrics, or the run's own rule with one metric setting.

    Attributes:
        name: The name of the protocol or metric setting.
        summary: What it does, in words.
        protocol: The protocol with the scoring rule.
        metrics: The metrics to compute, each with the metric of the run that it is compared with: a metric setting with
            the metric without the setting, any other metric with itself.
    """

    name: str
    summary: str
    protocol: Protocol
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleScores:
    """The scores to compute under one scoring rule.

    Attributes:
        protocol: The protocol with the scoring rule.
        revisions: The metrics and settings that any request needs under this rule, with their revisions.
        tasks: The ids of outputs with missing scores, and the tasks that compute these.
    """

    protocol: Protocol
    revisions: Mapping[str, str]
    tasks: tuple[tuple[int, Task], ...]


@dataclass(frozen=True, slots=True)
class Rescored:
    """The result of a rescoring.

    Attributes:
        run: The run's name.
        protocol: The run's own protocol.
        choices: The ways to score.
        shifts: How far each way to score moves the means.
        kept: The number of outputs that are kept and therefore scored.
        outputs: The number of all outputs that are ok.
        computed: The number of scorings that ran now, one for each output and rule; the other scores were stored.
        failed: A line for each scoring that failed.
        notes: What was left out, and why.
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
    """A rescoring of the kept outputs of a run.

    Attributes:
        found: The results of the run.
        known: The registry.
        dataset: The folder of images, for a run on the user's own images.
        jobs: The number of workers; 0 is one per core.
    """

    found: Results
    known: Registry
    dataset: str = ""
    jobs: int = 0
    _computed: int = 0
    _failed: list[str] = field(default_factory=list)
    _identity: MetricIdentity = field(init=False)

    def run(self, scoring: Sequence[str], listener: Listener, stop: Stop) -> Rescored:
        """Score the kept outputs in other ways.

        Args:
            scoring: Protocols, files of protocols, metric settings, or 'all'.
            listener: It receives the progress.
            stop: The request to stop, which is checked between outputs.

        Returns:
            The shifts, with the numbers of scorings and failures.

        Raises:
            NothingToDo: If no output was kept, or if every way to score is that of the run.
            UsageError: If no metric has the revision and code that the run was scored with.
            DataMissing: If the images of the run are not available.
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
        """Return the cells whose outputs are kept and undamaged, and the number of cells that are ok."""
        folder = self.found.store.images
        good = [row for row in self.found.rows() if row.status == "ok"]
        return [row for row in good if stored_images.load(folder, row.output_digest) is not None], len(good)

    def _check(self, rows: Sequence[CellRow], outputs: int, choices: Sequence[ScoringRequest]) -> None:
        if not rows:
            raise NothingToDo(
                f"none of the {outputs} outputs of run {self.found.name!r} were stored, so nothing can be scored "
                "again; run it again with --fresh --keep-images all."
            )
        if not choices:
            raise NothingToDo(f"every way to score that was named is that of run {self.found.name!r} already.")

    def _batch(self, protocol: Protocol, metrics: Sequence[str], rows: Sequence[CellRow]) -> RuleScores:
        revisions = {name: revision_of(self.found.run, name) for name in metrics}
        return RuleScores(protocol, revisions, tuple(self._tasks(protocol.scoring.digest, revisions, rows)))

    def _tasks(self, rule: str, revisions: Mapping[str, str], rows: Sequence[CellRow]) -> Iterator[tuple[int, Task]]:
        """Yield the id of each output with scores that are not stored yet, and the task that computes them."""
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
        """Compute the scores of a batch in workers, and store them as they arrive."""
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
        """Store the scores of one output, and count or list the result."""
        outcome = dataclasses.replace(outcome, scores=tuple(self._checked(each, outcome) for each in outcome.scores))
        if outcome.status == "ok":
            self.found.store.save_scores(identity, outcome, batch.protocol.scoring.digest, batch.revisions)
        if wrong := "; ".join(_problems(outcome)):
            self._failed.append(f"{task.cell.method} on {task.cell.image}: {wrong}")
        else:
            self._computed += 1

    def _checked(self, score: MetricScore, outcome: Outcome) -> MetricScore:
        """Return the score, or a failed one if the metric's code has changed since the rescoring began."""
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
    """Yield what failed in a scoring: the whole scoring, or single metrics. A skipped metric has not failed."""
    if outcome.status != "ok":
        yield f"{outcome.status}: {outcome.reason}"
    for score in outcome.scores:
        if score.status not in ("ok", "skipped"):
            yield f"{score.metric} {score.status}: {score.reason}"


def choose(found: Results, scoring: Iterable[str], known: Registry) -> tuple[list[ScoringRequest], list[str]]:
    """Return the requested ways to score, and notes on those that are left out.

    Args:
        found: The results of the run.
        scoring: Protocols, files of protocols, metric settings, or 'all'.
        known: The registry.

    Returns:
        The ways to score, and the notes.

    Raises:
        BadOption: If no way to score is named.
        UsageError: If all are left out because the revision or the code of their metrics has changed since the run.
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
    """Yield the names of the ways to score, with 'all' replaced by all protocols and metric settings."""
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
    """Return a protocol's scoring rule, or None if the run or an earlier choice has the same rule; and a note."""
    protocol = protocols.load(name)
    other = "" if protocol.input == own.input else "; its noisy images are others, which would need a run"
    if protocol.scoring.digest == own.scoring.digest:
        return None, f"{protocol.name} scores as this run did{other}."
    for choice in earlier:
        if choice.protocol.scoring.digest == protocol.scoring.digest:
            return None, f"{protocol.name} scores as {choice.name} does{other}."
    scoring = dataclasses.replace(own, scoring=protocol.scoring)
    note = f"{protocol.name} means only its scoring rule{other}." if other else ""
    return ScoringRequest(
        protocol.name, f"output {protocol.scoring.words}", scoring, {name: name for name in metrics}
    ), note


def _setting(name: str, own: Protocol, metrics: tuple[str, ...], known: Registry) -> tuple[ScoringRequest | None, str]:
    """Return a metric's setting under the run's own rule, or None if it cannot be computed here; and a note."""
    spec = known.metric(name)
    if (metric := name.partition("[")[0]) not in metrics:
        raise UnknownName("metric in the run", metric, metrics)
    if spec.prepare and (reason := spec.prepare(False)):
        return None, f"{name} is left out: {reason}"
    return ScoringRequest(name, spec.summary, own, {name: metric}), ""


def _stale(metrics: Iterable[str], found: Results, known: Registry) -> dict[str, str]:
    """Return a note on each metric that has changed since the run: its scores cannot be compared with the run's."""
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
    """Yield the choices with these metrics removed; a choice that has no other metric is left out."""
    for choice in choices:
        left = {name: beside for name, beside in choice.metrics.items() if name not in metrics}
        if left:
            yield dataclasses.replace(choice, metrics=left)


def _by_rule(choices: Iterable[ScoringRequest]) -> list[tuple[Protocol, list[str]]]:
    """Return the metrics of all choices by scoring rule: a worker computes all metrics of a rule for each image."""
    groups: dict[str, tuple[Protocol, list[str]]] = {}
    for choice in choices:
        _, metrics = groups.setdefault(choice.protocol.scoring.digest, (choice.protocol, []))
        metrics += [name for name in choice.metrics if name not in metrics]
    return list(groups.values())


def _dataset(found: Results, folder: str, known: Registry) -> DatasetSpec:
    """Return the run's data set.

    Raises:
        UsageError: If `folder` is the name of another data set.
        DataMissing: If the images are not those of the run, or if their folder is not known.
    """
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
    """Yield one queue for each noise; all of them need the same metrics, which a worker keeps loaded."""
    for job in dict.fromkeys(task.job for task in tasks):
        mine = [task for task in tasks if task.job == job]
        yield JobQueue(job, iter(mine), sum(task.pixels for task in mine))
