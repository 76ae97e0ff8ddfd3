"""The inside of a worker process: make the case, denoise, score. One thread, and a clean slate for each cell."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import variants
from mdnbench.engine import family, spawning, state, threads
from mdnbench.engine.pulse import Pulse
from mdnbench.engine.tasks import Setup, Task
from mdnbench.records import Outcome
from mdnbench.variants import Variant

if TYPE_CHECKING:
    from mdnbench.records import Case, NoiseInfo
    from mdnbench.specs import Denoise, DenoiserSpec, Image

_setup: Setup | None = None
_pulse: Pulse | None = None
_before: state.State | None = None  # of this process, when no plugin had run in it


def start(setup: Setup, pulse: Pulse | None = None, count: int = 1) -> None:
    """Begin a worker: one thread, deaf to Ctrl-C (the coordinator decides), a process group of its own.

    SIGTERM ends it at once: Pebble's handler, called in a worker that is ending already, makes Python print an error.
    What plugins print goes to stderr: stdout is for the coordinator's data. More threads than one are for timing alone.
    """
    global _setup, _pulse, _before
    os.environ.update(setup.variables)
    threads.prepare(count)
    spawning.ignore_interrupts()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    if hasattr(os, "setsid"):
        os.setsid()
    if pulse is not None:
        pulse.born()
    _setup, _pulse = setup, pulse
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _before = state.now()  # which imports torch: now, so that no cell's time limit has to pay for it


def _end_with_parent() -> None:
    """Wait for the coordinator's death, however it dies; then end this worker and whatever its plugin started."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        family.end(os.getpid())


def run(task: Task) -> Outcome:
    """Compute one cell, and show when it begins and ends."""
    if _pulse is None:
        return _survive(task)
    _pulse.begin(task.position)
    try:
        return _survive(task)
    finally:
        _pulse.end()


def _survive(task: Task) -> Outcome:
    """Whatever a plugin raises becomes an outcome; nothing escapes but the death of the process."""
    from mdnbench.errors import Unavailable
    from mdnbench.evaluation.outputs import InvalidOutput

    key = task.cell.output
    try:
        return _compute(task)
    except Unavailable as error:
        return Outcome(key, "skipped", str(error))
    except InvalidOutput as error:
        return Outcome(key, "invalid", str(error))
    except MemoryError as error:
        return Outcome(key, "oom", f"out of memory: {error}", traceback.format_exc())
    except BaseException as error:  # sys.exit() in a plugin ends its cell, not the run
        status = "oom" if type(error).__name__ == "OutOfMemoryError" else "failed"
        return Outcome(key, status, f"{type(error).__name__}: {error}", traceback.format_exc())  # type: ignore[arg-type]


def _compute(task: Task) -> Outcome:
    from mdnbench.digests import of_pixels
    from mdnbench.store import kept

    clean_slate(0)
    case = _case(task)
    known = kept.load(task.kept.parents[1], task.kept.stem) if task.kept else None  # None, too, where it was altered
    if known is not None:
        return Outcome(task.cell.output, "ok", noisy_digest=case.noisy_digest, scores=_score(task, case, known))
    image, seconds = _denoise(task, case)
    clean_slate(0)
    return Outcome(
        task.cell.output,
        "ok",
        seconds=seconds,
        image=image if task.keep else None,
        noisy_digest=case.noisy_digest,
        output_digest=of_pixels(image),
        scores=_score(task, case, image),
    )


def _denoise(task: Task, case: Case) -> tuple[Image, float]:
    import torch

    from mdnbench.evaluation import outputs
    from mdnbench.evaluation.adapters import to_numpy, to_tensor

    assert _setup is not None
    denoise, wants = built(task.job)
    told = tell(case.info, wants)
    clean_slate(int(task.cell.case[:8], 16))  # after the building, which happens in some cells and not in others
    noisy = to_tensor(case.noisy).to(_setup.device)  # (1, C, H, W)
    original = noisy.clone()
    with torch.no_grad():
        synchronise(_setup.device)
        start = time.perf_counter()
        output = denoise(noisy, told)
        synchronise(_setup.device)
        seconds = time.perf_counter() - start
    return to_numpy(outputs.check(output, noisy, original)), seconds


def tell(info: NoiseInfo, wants: str) -> NoiseInfo:
    """As much of what is known about the noise as the method declared to want."""
    from mdnbench.records import NoiseInfo

    if wants == "noise":
        return info
    if wants == "std":
        return NoiseInfo(std=info.std, source=info.source)
    return NoiseInfo()


def _score(task: Task, case: Case, image: Image) -> Any:
    from mdnbench.evaluation import scoring

    assert _setup is not None
    specs = {name: _registry().metric(name) for name in task.metrics}
    scorers = {name: _scorer(name) for name in task.metrics}
    return scoring.score(image, case.clean, _setup.protocol.scoring, specs, scorers)


@lru_cache(maxsize=1)
def _registry() -> Any:
    from mdnbench import registry

    assert _setup is not None
    return registry.load(_setup.plugins)


def _planned(shelf: Any, name: str) -> Any:
    """What a plugin brings by this name; BadPlugin where its file, or one that it reads, is another than planned."""
    from mdnbench.errors import BadPlugin

    assert _setup is not None
    entry = shelf.entry(name)
    if _setup.revisions.get((shelf.kind, name)) != entry.spec.revision:
        raise BadPlugin(
            f"the {shelf.kind} {name!r} of {entry.door.address}, or a file that it is made of, has changed since the "
            "run was planned; put the former file back, or run again with the new one."
        )
    return entry.spec


@lru_cache(maxsize=1)
def _dataset() -> Any:
    from mdnbench.data import folders

    assert _setup is not None
    if _setup.dataset in _registry().datasets:
        return _registry().datasets[_setup.dataset]
    return folders.find(_setup.dataset) or folders.folder_dataset(_setup.dataset)


@lru_cache(maxsize=16)
def _clean(image: str, digest: str) -> Image:
    assert _setup is not None
    pixels: Image = _sent(_setup.images, image, digest) if _setup.images else _loaded(image, digest)
    pixels.flags.writeable = False
    return pixels


def _loaded(image: str, digest: str) -> Image:
    """The image from the data set; DataMissing where its pixels are not the planned ones any more."""
    from mdnbench.digests import of_pixels
    from mdnbench.errors import DataMissing

    assert _setup is not None
    pixels: Image = _dataset().load(image)
    if of_pixels(pixels) != digest:
        raise DataMissing(
            f"image {image!r} of the data set {_setup.dataset} has changed since the run was planned; put the former "
            "one back, or run again with the new one."
        )
    return pixels


def _sent(folder: Path, image: str, digest: str) -> Image:
    from mdnbench.errors import DataMissing
    from mdnbench.store import kept

    pixels = kept.load(folder, digest)
    if pixels is None:
        raise DataMissing(f"image {image!r} did not reach this worker as it was planned.")
    return pixels


def _case(task: Task) -> Case:
    from mdnbench.evaluation import cases

    assert _setup is not None
    noise, rule = _setup.jobs[task.job].noise, _setup.protocol.input
    spec = _planned(_registry().noises, noise.name)
    clean = _clean(task.cell.image, task.cell.image_digest)
    return cases.make(clean, task.cell.case, noise, spec, rule, task.cell.noise_info)


def built(job: int) -> tuple[Denoise, str]:
    """The method of a job, built: its model stays loaded for the cells that follow, under this noise or another."""
    return _model(_model_of(job))


@cache
def _model_of(job: int) -> int:
    assert _setup is not None
    return _setup.model(job)


def spec_of(job: int) -> DenoiserSpec:
    """What a job's method is, as its plugin says."""
    assert _setup is not None
    spec: DenoiserSpec = _planned(_registry().denoisers, _setup.jobs[job].method.name)
    return spec


def variant_of(job: int) -> Variant:
    """How a job's method is deployed."""
    assert _setup is not None
    return variants.of(spec_of(job), _setup.jobs[job].method)


@lru_cache(maxsize=4)
def _model(index: int) -> tuple[Denoise, str]:
    assert _setup is not None
    job, spec = _setup.jobs[index], spec_of(index)
    clean_slate(0)
    if not variant_of(index).plain:
        from mdnbench.deploy import building

        return building.build(_registry(), spec, job.method, _setup.device, job.weights), spec.wants
    return spec.build(variants.own(spec, job.method), _setup.device, job.weights), spec.wants


@lru_cache(maxsize=8)
def _scorer(name: str) -> Any:
    """A metric, built; one that cannot be is a scorer that says why each time, so that the others still count."""
    try:
        _planned(_registry().metrics, name.partition("[")[0])
        return _registry().metric(name).build("cpu")
    except (Exception, SystemExit) as error:
        why = error

        def broken(denoised: Image, clean: Image) -> float:
            raise why

        return broken


def clean_slate(seed: int) -> None:
    """Undo what a plugin may have left behind for the next one."""
    assert _before is not None
    state.clean(_before, seed)


def synchronise(device: str) -> None:
    """Wait for the device, so that a clock read after it is true."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
