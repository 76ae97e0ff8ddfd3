"""The estimate of a plan: what a run would find stored, compute, train and keep, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from mdnbench.planning import environment
from mdnbench.planning.identity import CodeIdentity
from mdnbench.planning.plan import Plan, PlannedMethod
from mdnbench.store import Store, open_store
from mdnbench.util.chunks import chunks

CACHE = "PRAGMA cache_size = -65536"  # 64 MiB, because keys are hashes: each look-up reads another part of the file


@dataclass(frozen=True, slots=True)
class WorkEstimate:
    """What a run would do for one method under one noise.

    Attributes:
        cells: how many cells there are.
        stored: how many of them the store answers.
        weights: the name of the weights, empty for a method without weights.
        training: whether they must be trained first.
        skip: why the method is skipped, empty if it is not.
        seconds: what the other cells are likely to take on one worker, None if the method has never run here.
        note: what to know of the weights.

    """

    method: str
    noise: str
    cells: int
    stored: int
    weights: str
    training: bool
    skip: str
    seconds: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of a plan would do.

    Attributes:
        run: the run's name.
        dataset: the data set's name; `dataset_digest` stands for the pixels of all images.
        images: how many images there are.
        metrics: the metrics that can be computed here.
        unavailable: why a metric cannot be computed here, by name.
        methods: an estimate for each method under each noise.
        cells: how many cells there are, `new_cells` of them to be computed.
        trainings: the methods that must be trained first.
        kept_bytes: the most that kept images would take in `kept_folder`.
        seconds: how long the new cells are likely to take on all workers, as far as it is known.
        seconds_known: whether it is known of every method.
        notes: what to know before the run.

    """

    run: str
    dataset: str
    dataset_digest: str
    images: int
    protocol: str
    protocol_hash: str
    metrics: tuple[str, ...]
    unavailable: Mapping[str, str]
    methods: tuple[WorkEstimate, ...]
    cells: int
    new_cells: int
    trainings: tuple[str, ...]
    kept_bytes: int
    kept_folder: str
    seconds: float
    seconds_known: bool
    notes: tuple[str, ...]


def of_plan(plan: Plan, workspace: Path, unavailable: Mapping[str, str]) -> Estimate:
    """Return the estimate of a plan in a workspace; `unavailable` says why metrics cannot be computed here."""
    path = workspace / "results.sqlite"
    metrics = tuple(name for name in plan.metrics if name not in unavailable)
    with open_store(path) if path.is_file() else nullcontext() as store:
        identity = CodeIdentity(plan, store)
        new = _new_cells(plan, store, identity, metrics) if store else {}
        changes = identity.changes() if store and not plan.request.fresh else []
        paces = _paces(store) if store else {}
    works = tuple(_of_work(plan, work, new.get(work.index, plan.cells_per_work), paces) for work in plan.works)
    known = [each.seconds for each in works if each.seconds is not None]
    return Estimate(
        run=plan.name,
        dataset=plan.dataset.name,
        dataset_digest=plan.dataset_digest,
        images=len(plan.images),
        protocol=plan.protocol.name,
        protocol_hash=plan.protocol.hash,
        metrics=metrics,
        unavailable=dict(unavailable),
        methods=works,
        cells=plan.size,
        new_cells=sum(each.cells - each.stored for each in works if not each.skip),
        trainings=tuple(sorted({work.named.text for work in plan.works if work.training})),
        kept_bytes=_kept_bytes(plan),
        kept_folder=str(workspace / "images"),
        seconds=sum(known) / (plan.request.jobs or environment.cores()),
        seconds_known=len(known) == len(works),
        notes=(*plan.notes, *map(str, changes)),
    )


def _new_cells(plan: Plan, store: Store, identity: CodeIdentity, metrics: tuple[str, ...]) -> dict[int, int]:
    """Return how many cells of each work the store does not answer, by the work's index."""
    if plan.request.fresh:
        return {}
    store.connection.execute(CACHE)
    rule, needed = plan.protocol.scoring.digest, {name: identity.metrics.scored_as[name] for name in metrics}
    new = {}
    for noise in plan.noises:
        cases = plan.case_keys(noise)
        for work in (each for each in plan.works if each.noise is noise):
            known = sum(
                store.complete([identity.keys(work, plan.output_key(work, case)) for case in part], rule, needed)
                for part in chunks(cases)
            )
            new[work.index] = len(cases) - known
    return new


def _of_work(plan: Plan, work: PlannedMethod, new: int, paces: Mapping[str, float]) -> WorkEstimate:
    cells = plan.cells_per_work
    return WorkEstimate(
        method=work.named.text,
        noise=work.noise.named.text,
        cells=cells,
        stored=0 if work.skip else cells - new,
        weights=work.weights.name if work.weights else "",
        training=work.training,
        skip=work.skip,
        seconds=_seconds(work, new, paces),
        note=work.note,
    )


def _paces(store: Store) -> dict[str, float]:
    """Return the mean seconds of a cell that the store holds, by method."""
    query = "SELECT method, avg(seconds) FROM outputs WHERE status = 'ok' AND seconds IS NOT NULL GROUP BY method"
    return dict(store.select(query))


def _seconds(work: PlannedMethod, new: int, paces: Mapping[str, float]) -> float | None:
    """Return what the new cells are likely to take, from the same method's earlier cells; None if there are none."""
    if work.skip or not new:
        return 0.0
    pace = paces.get(work.named.text)
    return None if pace is None else pace * new


def _kept_bytes(plan: Plan) -> int:
    kept = {"none": 0, "first-seed": 1, "all": plan.request.seeds}[plan.request.keep_images]
    values = sum(image.pixels * (3 if len(image.shape) == 3 else 1) for image in plan.images)
    return 4 * values * kept * len(plan.works)
