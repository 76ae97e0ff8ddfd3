"""Make the timing record of a plan: choose images and methods, and reuse what this machine has measured before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.engine import preparation
from mdnbench.engine.coordinator import job_of
from mdnbench.engine.tasks import Task
from mdnbench.errors import NothingToDo
from mdnbench.evaluation import cases
from mdnbench.planning import Plan, PlannedImage, PlannedMethod, environment
from mdnbench.planning.identity import METHOD, CodeIdentity
from mdnbench.timing import missing, quality
from mdnbench.timing import record as records
from mdnbench.timing.conditions import AFTER_RUN, Conditions
from mdnbench.timing.missing import MissingByMethod
from mdnbench.timing.process import MethodTiming, SelfTestCell, TimingSubject
from mdnbench.timing.times import Times
from mdnbench.util.digests import of_parts
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.spec.records import Case, UsedFile
    from mdnbench.spec.specs import Image
    from mdnbench.spec.timings import TimingRecord
    from mdnbench.store import Store

REVISION = "5"


def record_for(
    plan: Plan, results: Results, listener: Listener, stop: Callable[[], bool] = lambda: False
) -> TimingRecord | None:
    """Return the timing record of a run's methods under its first noise.

    It comes from the store if this machine has timed them before. Methods without an ok cell are left out.

    Args:
        plan: The plan of the run.
        results: The results of the run.
        listener: The object that receives the progress.
        stop: A function that returns whether the user has asked to stop.

    Returns:
        The record, or None if no method is left to time.

    """
    good = {row.method for row in results.means if row.noise == plan.noises[0].named.text and row.ok}
    works = [work for work in _works(plan) if work.named.text in good]
    return record(plan, works, AFTER_RUN, results.store, listener, stop) if works else None


def ready(plan: Plan) -> tuple[list[PlannedMethod], dict[str, str]]:
    """Return the methods of a plan that can be timed under its first noise, and the reasons why the others cannot."""
    why = {
        work.named.text: work.skip or f"it has no weights for {work.noise.named}; `mdnbench train {work.named}` first"
        for work in _works(plan)
        if work.skip or work.training
    }
    return [work for work in _works(plan) if work.named.text not in why], why


def times(
    plan: Plan, conditions: Conditions, store: Store, folder: Path, listener: Listener, stop: Callable[[], bool]
) -> Times:
    """Return the timings of a plan's methods under its first noise, with their quality as far as it is in the store.

    Args:
        plan: The plan.
        conditions: The conditions.
        store: The store.
        folder: The folder for the files of the timings.
        listener: The object that receives the progress.
        stop: A function that returns whether the user has asked to stop.

    Raises:
        NothingToDo: If no method can be timed.

    """
    works, left_out = ready(plan)
    if not works:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise NothingToDo(f"nothing can be timed. {why}.")
    if len(plan.noises) > 1:
        listener.note(f"timed under {works[0].noise.named} alone: the seconds of a method hardly depend on the noise.")
    found = record(plan, works, conditions, store, listener, stop)
    known = quality.known(plan, works, store)
    return Times(plan.name, folder, dataclasses.replace(found, quality=known, left_out=left_out, named=plan.named))


def record(
    plan: Plan, works: list[PlannedMethod], conditions: Conditions, store: Store, listener: Listener,
    stop: Callable[[], bool] = lambda: False,
) -> TimingRecord:  # fmt: skip
    """Return the timing record of these methods, and store it.

    What this machine has measured before comes from the store. Only what is missing is measured: what was not timed,
    was not finished, or failed. If the user stops the run, nothing is stored.

    Args:
        plan: The plan.
        works: The methods to time, under the plan's first noise.
        conditions: The conditions.
        store: The store.
        listener: The object that receives the progress.
        stop: A function that returns whether the user has asked to stop.

    """
    identity = CodeIdentity(plan, store)
    key = _key(plan, works, identity, conditions)
    stored = None if plan.request.fresh or not key else store.timing(key)
    former = stored.content if stored else None
    methods = [work.named.text for work in works]
    lacks = missing.of_record(former, methods, conditions)
    if former and not lacks:
        return former
    lacking = dict.fromkeys(method for method, _ in lacks)
    if former:
        listener.note(f"timing only what the stored record lacks: {', '.join(lacking)}.")
    preparation.prepare(plan, [work for work in works if work.named.text in lacking], listener, stop)
    timed = _measure(plan, works, conditions, store, listener, stop, lacks)
    fresh = records.make(timed, works[0].noise.named.text, plan.device, conditions.budget_s)
    found = missing.joined(former, fresh, timed, methods, conditions)
    if not stop() and any(missing.finished(each, conditions) for each in found.benchmarks):
        _save(plan, works, conditions, store, identity, _used(timed), found)
    return found


def _save(
    plan: Plan, works: list[PlannedMethod], conditions: Conditions, store: Store, identity: CodeIdentity,
    used: dict[str, tuple[UsedFile, ...]], found: TimingRecord,
) -> None:  # fmt: skip
    """Store a record under the code of all its methods; for a method that never ran, under the code known so far."""
    with store.transaction():
        for work in works:
            identity.record(work, {METHOD: used.get(work.named.text, ())})
    store.save_timing(_key(plan, works, identity, conditions), found)


def _used(timed: list[MethodTiming]) -> dict[str, tuple[UsedFile, ...]]:
    """Return the files that each method used, with any number of threads."""
    used: dict[str, set[UsedFile]] = {}
    for each in timed:
        used.setdefault(each.method, set()).update(each.used)
    return {method: tuple(sorted(files)) for method, files in used.items()}


def _works(plan: Plan) -> tuple[PlannedMethod, ...]:
    """Return the planned methods under the first noise."""
    return plan.works[: len(plan.methods)]


def _key(plan: Plan, works: list[PlannedMethod], identity: CodeIdentity, conditions: Conditions = AFTER_RUN) -> str:
    """Return the key of the timings of methods on this machine, '' while the code of one method is not known.

    The key depends on the image's size, channels and noise, but not on its content. Names are part of it, because a
    record names its methods and one identity may have several names. The budget is not part of it: what a smaller
    budget cut short is measured again.
    """
    methods = [[work.named.text, work.identity, identity.token(work)] for work in works]
    if not all(token for _, _, token in methods):
        return ""
    noise, channels = works[0].noise.named.text, list(plan.images[0].shape[2:])
    under = [value for name, value in dataclasses.asdict(conditions).items() if name != "budget_s"]
    return of_parts("timing", REVISION, methods, noise, under, channels, environment.machine_id(), plan.device)


def _measure(
    plan: Plan, works: list[PlannedMethod], conditions: Conditions, store: Store, listener: Listener,
    stop: Callable[[], bool], lacks: MissingByMethod,
) -> list[MethodTiming]:  # fmt: skip
    """Run the timing phase for what is missing."""
    from mdnbench.timing import phase

    jobs = tuple(job_of(plan, work) for work in works)
    images = {side: _square_case(plan, works[0], side) for side in conditions.sizes}
    shown = {side: (case.noisy, case.info) for side, case in images.items()}
    subject = TimingSubject(jobs, plan.device, shown, revisions=plan.registry.revisions)
    if conditions.self_tests:
        trials, identity = _trials(plan, works), CodeIdentity(plan, store)
        stored = tuple(_stored_digest(plan, work, store, identity) for work in works)
        subject = dataclasses.replace(subject, trials=trials, stored=stored)
    return phase.measure(subject, conditions, lacks=lacks, listener=listener, stop=stop)


def _stored_digest(plan: Plan, work: PlannedMethod, store: Store, identity: CodeIdentity) -> str:
    """Return the digest of the stored output of a method's trial cell, '' if there is none."""
    found = store.outputs(identity.keys(work, plan.cell(work, _trial_image(plan), 0).output)).values()
    return next((row.output_digest for row in found if row.status == "ok"), "")


def _square_case(plan: Plan, work: PlannedMethod, side: int) -> Case:
    """Return the case of a square image of this side."""
    noise = work.noise
    clean = square(plan.dataset.load(plan.images[0].id), side)
    key = cases.key("timing", noise.named, noise.spec.revision, 0)
    return cases.make(clean, key, noise.named, noise.spec, plan.protocol.input, plan.request.noise_info)


def _trials(plan: Plan, works: list[PlannedMethod]) -> tuple[SelfTestCell, ...]:
    """Return a cell of the plan for each method: its smallest image with the first noise realisation."""
    image, noise = _trial_image(plan), works[0].noise
    clean = plan.dataset.load(image.id)
    made = []
    for job, work in enumerate(works):
        cell = plan.cell(work, image, 0)
        case = cases.make(clean, cell.case, noise.named, noise.spec, plan.protocol.input, cell.noise_info)
        made.append(SelfTestCell(Task(0, cell, job, image.pixels, (), keep=True), case.noisy, case.info))
    return tuple(made)


def _trial_image(plan: Plan) -> PlannedImage:
    """Return the smallest image of the plan."""
    return min(plan.images, key=lambda each: each.pixels)


def square(image: Image, side: int) -> Image:
    """Return the image's top left square of this side; a smaller image is continued by reflection."""
    missing = [(0, max(0, side - length)) for length in image.shape[:2]]
    padded = np.pad(image, [*missing, *[(0, 0)] * (image.ndim - 2)], mode="symmetric")
    return np.ascontiguousarray(padded[:side, :side])
