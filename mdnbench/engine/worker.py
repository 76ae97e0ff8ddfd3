"""The inside of a worker process: make the case, denoise, score. One thread, and a clean slate for each cell."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import traceback
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.engine.tasks import Setup, Task
from mdnbench.records import Outcome

if TYPE_CHECKING:
    from mdnbench.records import Case, NoiseInfo
    from mdnbench.specs import Denoise, Image

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)  # fmt: skip

_setup: Setup | None = None
_folder = "."


def start(setup: Setup, pid: Any = None) -> None:
    """Begin a worker: one thread, deaf to Ctrl-C (the coordinator decides), a process group of its own.

    What plugins print goes to stderr: stdout is for the coordinator's data.
    """
    global _setup, _folder
    for variable in THREAD_VARIABLES:  # before NumPy or torch are imported here
        os.environ[variable] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    if hasattr(os, "setsid"):
        os.setsid()
    if pid is not None:
        pid.value = os.getpid()
    _setup, _folder = setup, str(Path.cwd())
    import torch  # noqa: F401 (now, so that no cell's time limit has to pay for it)


def run(task: Task) -> Outcome:
    """Compute one cell. Whatever a plugin raises becomes an outcome; nothing escapes but the death of the process."""
    from mdnbench.errors import Unavailable
    from mdnbench.outputs import InvalidOutput

    key = task.cell.output
    try:
        return _compute(task)
    except Unavailable as error:
        return Outcome(key, "skipped", str(error))
    except InvalidOutput as error:
        return Outcome(key, "invalid", str(error))
    except MemoryError as error:
        return Outcome(key, "oom", f"out of memory: {error}", traceback.format_exc())
    except Exception as error:
        status = "oom" if type(error).__name__ == "OutOfMemoryError" else "failed"
        return Outcome(key, status, f"{type(error).__name__}: {error}", traceback.format_exc())  # type: ignore[arg-type]


def _compute(task: Task) -> Outcome:
    from mdnbench.digests import of_pixels

    _clean_slate(0)
    case = _case(task)
    if task.kept is not None:
        return _rescore(task, case)
    image, seconds = _denoise(task, case)
    _clean_slate(0)
    return Outcome(
        task.cell.output,
        "ok",
        seconds=seconds,
        image=image if task.keep else None,
        noisy_digest=case.noisy_digest,
        output_digest=of_pixels(image),
        scores=_score(task, case, image),
    )


def _rescore(task: Task, case: Case) -> Outcome:
    import numpy as np

    assert task.kept is not None
    image: Image = np.load(task.kept, allow_pickle=False)
    return Outcome(task.cell.output, "ok", noisy_digest=case.noisy_digest, scores=_score(task, case, image))


def _denoise(task: Task, case: Case) -> tuple[Image, float]:
    import torch

    from mdnbench import outputs
    from mdnbench.adapters import to_numpy, to_tensor

    assert _setup is not None
    denoise, wants = built(task.job)
    told = tell(case.info, wants)
    _clean_slate(int(task.cell.case[:8], 16))  # after the building, which happens in some cells and not in others
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
    from mdnbench import scoring

    assert _setup is not None
    specs = {name: _registry().metric(name) for name in task.metrics}
    scorers = {name: _scorer(name) for name in task.metrics}
    return scoring.score(image, case.clean, _setup.protocol.scoring, specs, scorers)


@lru_cache(maxsize=1)
def _registry() -> Any:
    from mdnbench import registry

    assert _setup is not None
    return registry.load(_setup.plugins)


@lru_cache(maxsize=1)
def _dataset() -> Any:
    from mdnbench import folders

    assert _setup is not None
    if _setup.dataset in _registry().datasets:
        return _registry().datasets[_setup.dataset]
    return folders.folder_dataset(Path(_setup.dataset))


@lru_cache(maxsize=16)
def _clean(image: str) -> Image:
    pixels: Image = _dataset().load(image)
    pixels.flags.writeable = False
    return pixels


def _case(task: Task) -> Case:
    from mdnbench import cases

    assert _setup is not None
    noise, rule = _setup.jobs[task.job].noise, _setup.protocol.input
    spec = _registry().noises[noise.name]
    return cases.make(_clean(task.cell.image), task.cell.case, noise, spec, rule, task.cell.noise_info)


@lru_cache(maxsize=4)
def built(index: int) -> tuple[Denoise, str]:
    """The method of a job, built: its model stays loaded for the cells that follow."""
    assert _setup is not None
    job = _setup.jobs[index]
    spec = _registry().denoisers[job.method.name]
    options = {name: value for name, value in job.method.options if name != "weights"}
    _clean_slate(0)
    return spec.build(options, _setup.device, job.weights), spec.wants


@lru_cache(maxsize=8)
def _scorer(name: str) -> Any:
    """A metric, built; one that cannot be is a scorer that says why each time, so that the others still count."""
    try:
        return _registry().metric(name).build("cpu")
    except Exception as error:
        why = error

        def broken(denoised: Image, clean: Image) -> float:
            raise why

        return broken


def _clean_slate(seed: int) -> None:
    """Undo what a plugin may have left behind: seeds, default type, thread counts, working directory."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float32)
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    os.chdir(_folder)  # asking where we are fails where a plugin has removed the folder


def synchronise(device: str) -> None:
    """Wait for the device, so that a clock read after it is true."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
