"""From a plan to its timing record: which images, which methods, and whether this machine has timed them before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import environment
from mdnbench.digests import of_parts
from mdnbench.engine.tasks import Job, Setup, Task
from mdnbench.errors import NothingToDo
from mdnbench.evaluation import cases
from mdnbench.listener import Listener
from mdnbench.planning import Plan, Work
from mdnbench.timing import quality
from mdnbench.timing.conditions import AFTER_RUN, Conditions
from mdnbench.timing.process import Subject, Trial
from mdnbench.timing.times import Times, failed

if TYPE_CHECKING:
    from mdnbench.records import Case
    from mdnbench.results import Results
    from mdnbench.specs import Image
    from mdnbench.store import Store

REVISION = "3"


def record_for(
    plan: Plan, results: Results, listener: Listener, stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """The timing record of a run's methods under its first noise; from the store where this machine has timed them.

    Methods without one good cell are left out. None where nothing is left to time.
    """
    good = {row.method for row in results.means if row.noise == plan.noises[0].named.text and row.ok}
    works = [work for work in _works(plan) if work.named.text in good]
    return record(plan, works, AFTER_RUN, results.store, listener, stop) if works else None


def ready(plan: Plan) -> tuple[list[Work], dict[str, str]]:
    """The methods of a plan that can be timed under its first noise, and why the others cannot."""
    why = {
        work.named.text: work.skip or f"it has no weights for {work.noise.named}; `mdnbench train {work.named}` first"
        for work in _works(plan)
        if work.skip or work.training
    }
    return [work for work in _works(plan) if work.named.text not in why], why


def times(
    plan: Plan, conditions: Conditions, store: Store, folder: Path, listener: Listener, stop: Callable[[], bool]
) -> Times:
    """The timings of a plan's methods under its first noise, with what the store knows of their quality."""
    works, left_out = ready(plan)
    if not works:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise NothingToDo(f"nothing can be timed. {why}.")
    if len(plan.noises) > 1:
        listener.note(f"timed under {works[0].noise.named} alone: the seconds of a method hardly depend on the noise.")
    found = record(plan, works, conditions, store, listener, stop)
    return Times(plan.name, folder, found | {"quality": quality.known(plan, works, store), "left_out": left_out})


def record(
    plan: Plan, works: list[Work], conditions: Conditions, store: Store, listener: Listener,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """The timing record of these works; from the store where this machine has one, and there afterwards.

    What was stopped on the way is not stored, nor is a record in which a method failed: the next run tries again.
    """
    key = _key(plan, works, conditions)
    stored = None if plan.request.fresh else store.timing(key)
    if stored:
        return dict(stored.content)
    found = _measure(plan, works, conditions, store, listener, stop)
    if not stop() and not failed(found):
        store.save_timing(key, found)
    return found


def _works(plan: Plan) -> tuple[Work, ...]:
    return plan.works[: len(plan.methods)]


def _key(plan: Plan, works: list[Work], conditions: Conditions = AFTER_RUN) -> str:
    """Timings are of methods on a machine: the image's content does not matter, its size, channels and noise do.

    A record names its methods, and one identity may have several names.
    """
    methods = [[work.named.text, work.identity] for work in works]
    noise, channels = works[0].noise.named.text, list(plan.images[0].shape[2:])
    under = list(dataclasses.asdict(conditions).values())
    return of_parts("timing", REVISION, methods, noise, under, channels, environment.machine_id(), plan.device)


def _measure(
    plan: Plan, works: list[Work], conditions: Conditions, store: Store, listener: Listener, stop: Callable[[], bool]
) -> dict[str, Any]:
    from mdnbench.engine.coordinator import dataset_folder
    from mdnbench.timing import phase
    from mdnbench.timing import record as records

    jobs = tuple(Job(work.noise.named, work.named, work.weights) for work in works)
    dataset = dataset_folder(plan) or plan.dataset.name
    known = plan.registry
    setup = Setup(known.files, dataset, plan.protocol, plan.device, jobs, known.revisions)
    images = {side: _square_case(plan, works[0], side) for side in conditions.sizes}
    subject = Subject(setup, {side: (case.noisy, case.info) for side, case in images.items()})
    if conditions.self_tests:
        trials = _trials(plan, works)
        stored_outputs = store.outputs([each.task.cell.output for each in trials])
        digests = (stored_outputs.get(each.task.cell.output) for each in trials)
        stored = tuple(each.output_digest if each and each.status == "ok" else "" for each in digests)
        subject = dataclasses.replace(subject, trials=trials, stored=stored)
    timed = phase.measure(subject, conditions, listener=listener, stop=stop)
    return records.make(timed, works[0].noise.named.text, plan.device)


def _square_case(plan: Plan, work: Work, side: int) -> Case:
    noise = work.noise
    clean = square(plan.dataset.load(plan.images[0].id), side)
    key = cases.key("timing", noise.named, noise.spec.revision, 0)
    return cases.make(clean, key, noise.named, noise.spec, plan.protocol.input, plan.request.noise_info)


def _trials(plan: Plan, works: list[Work]) -> tuple[Trial, ...]:
    """A cell of the plan for every work: its smallest image, first realisation."""
    image = min(plan.images, key=lambda each: each.pixels)
    clean, noise = plan.dataset.load(image.id), works[0].noise
    made = []
    for job, work in enumerate(works):
        cell = plan.cell(work, image, 0)
        case = cases.make(clean, cell.case, noise.named, noise.spec, plan.protocol.input, cell.noise_info)
        made.append(Trial(Task(0, cell, job, image.pixels, (), keep=True), case.noisy, case.info))
    return tuple(made)


def square(image: Image, side: int) -> Image:
    """The image's top left square of this side; a smaller image is repeated by reflection."""
    import numpy as np

    missing = [(0, max(0, side - length)) for length in image.shape[:2]]
    padded = np.pad(image, [*missing, *[(0, 0)] * (image.ndim - 2)], mode="symmetric")
    return np.ascontiguousarray(padded[:side, :side])
