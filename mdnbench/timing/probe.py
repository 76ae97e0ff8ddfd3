"""The inside of a timing process: load, first call, then single calls on demand, each timed by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.engine import worker
from mdnbench.engine.tasks import Setup

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.records import NoiseInfo
    from mdnbench.specs import Image


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading and the first call of a method took."""

    load_s: float
    first_call_s: float
    memory_bytes: int
    parameters: int | None


def serve(connection: Connection, setup: Setup, job: int, noisy: Image, info: NoiseInfo) -> None:
    """Answer ('load',) with Loaded and ('call', count) with a list of seconds, until told to stop."""
    worker.start(setup)
    import torch

    from mdnbench.cells.adapters import to_tensor

    torch.set_num_threads(1)
    tensor = to_tensor(noisy).to(setup.device)  # (1, C, H, W)
    denoise: Any = None
    connection.send("ready")
    while True:
        order, *arguments = connection.recv()
        try:
            if order == "load":
                denoise, loaded = _load(setup, job, tensor, info)
                connection.send(loaded)
            elif order == "call":
                connection.send([_call(denoise, tensor, info, setup.device) for _ in range(arguments[0])])
            else:
                return
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}")


def _load(setup: Setup, job: int, tensor: Any, info: NoiseInfo) -> tuple[Any, Loaded]:
    base = _resident_bytes()
    start = time.perf_counter()
    denoise, wants = worker.built(job)
    load_s = time.perf_counter() - start
    told = worker.tell(info, wants)

    def call(noisy: Any, _: NoiseInfo) -> Any:
        return denoise(noisy, told)

    first_s = _call(call, tensor, info, setup.device)
    memory = max(0, _peak_bytes() - base)
    return call, Loaded(load_s, first_s, memory, _parameters(setup.jobs[job].weights))


def _call(denoise: Any, tensor: Any, info: NoiseInfo, device: str) -> float:
    """The seconds of one call: the timed region is three lines."""
    import torch

    noisy = tensor.clone()
    with torch.no_grad():
        worker.synchronise(device)
        start = time.perf_counter()
        denoise(noisy, info)
        worker.synchronise(device)
        return time.perf_counter() - start


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _peak_bytes() -> int:
    """The most memory this process has held since it began.

    Linux tells it in /proc: what getrusage says there is handed down from the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS


def _parameters(weights: Any) -> int | None:
    """How many numbers a weights file holds, read from its header."""
    if weights is None:
        return None
    from math import prod

    from safetensors import safe_open

    with safe_open(weights.path, "pt") as file:
        return int(sum(prod(file.get_slice(key).get_shape()) for key in file.keys()))  # noqa: SIM118 (not a dict)
