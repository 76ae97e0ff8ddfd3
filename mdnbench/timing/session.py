"""From a plan to its timing record: which image, which methods, and whether this machine has timed them before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdnbench import environment
from mdnbench.cells import cases
from mdnbench.digests import of_parts
from mdnbench.engine.tasks import Job, Setup
from mdnbench.listener import Listener
from mdnbench.planning import Plan, Work

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.specs import Image

REVISION = "1"
SIDE = 256
THREADS = 1


def record_for(plan: Plan, results: Results, listener: Listener) -> dict[str, Any] | None:
    """The timing record of the plan's methods under its first noise; from the store where this machine has timed them.

    Methods without one good cell are left out. None where nothing is left to time.
    """
    good = {row.method for row in results.means if row.noise == plan.noises[0].named.text and row.ok}
    works = [work for work in plan.works[: len(plan.methods)] if work.named.text in good]
    if not works:
        return None
    key = _key(plan, works)
    stored = None if plan.request.fresh else results.store.timing(key)
    if stored:
        return dict(stored.content)
    record = _measure(plan, works, listener)
    results.store.save_timing(key, record)
    return record


def _key(plan: Plan, works: list[Work]) -> str:
    """Timings are of methods on a machine: the image's content does not matter, its size, channels and noise do."""
    identities = [work.identity for work in works]
    noise, channels = works[0].noise.named.text, list(plan.images[0].shape[2:])
    return of_parts(
        "timing", REVISION, identities, noise, SIDE, channels, THREADS, environment.machine_id(), plan.device
    )


def _measure(plan: Plan, works: list[Work], listener: Listener) -> dict[str, Any]:
    from mdnbench.timing import phase, record

    noise = works[0].noise
    clean = _square(plan.dataset.load(plan.images[0].id), SIDE)
    key = cases.key("timing", noise.named, noise.spec.revision, 0)
    case = cases.make(clean, key, noise.named, noise.spec, plan.protocol.input, plan.request.noise_info)
    jobs = tuple(Job(noise.named, work.named, work.weights) for work in works)
    setup = Setup(plan.registry.files, plan.dataset.name, plan.protocol, plan.device, jobs)
    timed = phase.measure(setup, case.noisy, case.info, listener=listener)
    threads = "1 thread" if THREADS == 1 else f"{THREADS} threads"
    group = f"{SIDE}×{SIDE}, {threads}, {plan.device}, {noise.named.text}"
    return record.make(timed, clean.shape[0] * clean.shape[1], group, plan.device)


def _square(image: Image, side: int) -> Image:
    """The image's top left square of this side; a smaller image is repeated by reflection."""
    import numpy as np

    missing = [(0, max(0, side - length)) for length in image.shape[:2]]
    padded = np.pad(image, [*missing, *[(0, 0)] * (image.ndim - 2)], mode="symmetric")
    return np.ascontiguousarray(padded[:side, :side])
