"""What one coordinator of a Dask cluster holds: its processor time and memory per cell, and those of the scheduler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from mdnbench import api

pytestmark = [
    pytest.mark.full,  # tests/engine/test_dask.py is the small form: whether it works at any speed
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform == "win32", reason="the cluster of the tests runs on POSIX systems"),
]

# Over 50 ms, cells are handed out one by one, as long ones are.
SLEEPS = """
import time

def denoise(noisy, noise):
    time.sleep(0.06)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("sleeps", "1", "sleeps", lambda options, device, weights: denoise)]
"""


@dataclass(frozen=True)
class Cost:
    """What a run took: the command, and the processor time of the scheduler meanwhile."""

    ran: Any
    scheduler_s: float


@pytest.fixture
def cost(
    full: bool, dask_cluster: Any, watched: Any, tiles: Any, plugin: Callable[..., Path], workspace: Path
) -> Any:  # `full` comes first: it looks whether the machine is busy, which the cluster's start would make it
    """`cost("noisy", 200)` runs so many cells of 64×64, two workers beside it, PSNR alone, and keeps no image."""
    for name in ("one", "two"):
        dask_cluster.worker(name)
    scheduler, pictures, path = psutil.Process(dask_cluster.processes[0].pid), tiles(100), plugin(SLEEPS)

    def run(method: str, cells: int) -> Cost:
        before = sum(scheduler.cpu_times()[:2])
        ran = watched(
            workspace, "run", "--methods", method, "--sigma", 50, "--dataset", pictures, "--metrics", "psnr",
            "--seeds", cells // 100, "--fresh", "--no-timing", "--keep-images", "none", "--plugin", path,
            "--out", f"{method}-{cells}", "--engine", "dask", "--scheduler", dask_cluster.address,
        )  # fmt: skip
        return Cost(ran, sum(scheduler.cpu_times()[:2]) - before)

    return run


@pytest.mark.parametrize(
    ("method", "few", "many"),
    [("noisy", 2_000, 20_000), ("sleeps", 100, 1_000)],
)
def test_what_a_cell_costs_beside_its_workers(
    method: str, few: int, many: int, cost: Any, benchmark: Any, figure: Any, workspace: Path
) -> None:
    """Every cell is computed once and right; processor time and memory are those of coordinator and scheduler."""
    first = cost(method, few)
    second = benchmark.pedantic(cost, args=(method, many), rounds=1)
    more, kind = many - few, f"{method}, {many:,} cells"
    coordinator_s = (second.ran.processor_s - first.ran.processor_s) / more
    figure(f"wall time per cell on two workers, {kind}", (second.ran.seconds - first.ran.seconds) / more * 1e3, "ms")
    figure(f"the coordinator's processor time per cell, {kind}", coordinator_s * 1e3, "ms")
    figure(
        f"the scheduler's processor time per cell, {kind}", (second.scheduler_s - first.scheduler_s) / more * 1e3, "ms"
    )
    figure(f"cells a second that one coordinator holds, {kind}", 1 / coordinator_s, "/ s")
    figure(f"memory of the coordinator, {kind}", second.ran.peak_bytes / 2**20, "MiB")
    growth = second.ran.peak_bytes / first.ran.peak_bytes
    figure(f"memory of the coordinator, {kind} over {few:,}", growth, "×", below=1.2)
    found = api.open_run(f"{method}-{many}", workspace_folder=workspace / ".mdnbench")
    rows = list(found.rows())
    assert len({row.noisy_digest for row in rows if row.status == "ok"}) == many
