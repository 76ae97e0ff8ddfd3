"""SIGKILL and SIGTERM: of the whole run, and of a worker with a cell in its hands."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mdnbench import api

Plugin = Callable[..., Path]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

DIGITS = ("image", "noise", "seed", "method", "status", "psnr", "ssim", "noisy_digest", "output_digest")
DICE = """
import random, time

def build(options, device, weights):
    import numpy, torch
    def denoise(noisy, noise):
        time.sleep(0.05)
        return noisy * 0.9 + 0.01 * (float(torch.rand(1)) + random.random() + float(numpy.random.rand()))
    return denoise

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec(name, "1", name, build) for name in ("dice", "more-dice")]
"""


KILLER = """
import os, psutil, signal, time

def denoise(noisy, noise):
    if noisy.shape[-1] == 256:
        os.kill(psutil.Process(os.getppid()).ppid(), signal.SIGKILL)  # the Dask worker, above the server
        time.sleep(60)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("killer", "1", "killer", lambda options, device, weights: denoise)]
"""


def digits(records: Any) -> list[tuple[Any, ...]]:
    """All that must be equal to the last digit."""
    return sorted(tuple(record[name] for name in DIGITS) for record in records)


@pytest.mark.parametrize(("kills", "seeds"), [(3, 1), pytest.param(20, 6, marks=pytest.mark.full)])
def test_fault_01_a_run_killed_at_random_moments(
    workspace: Path, plugin: Plugin, begin: Any, outside: Any, kills: int, seeds: int
) -> None:
    """Finished cells are kept, running again does the rest, and the scores equal an uninterrupted run's.

    Every third kill comes at any moment of a run's life, its start included; the others once something is stored.
    """
    keys: dict[str, Any] = {
        "methods": ["dice", "more-dice", "noisy"], "sigma": [25, 50], "images": ["01", "02", "04", "05"],
        "metrics": ["psnr", "ssim"], "dataset": "sk12", "jobs": 2, "seeds": seeds,
    }  # fmt: skip
    path = plugin(DICE)
    said = [f"--{key}={','.join(map(str, value)) if isinstance(value, list) else value}" for key, value in keys.items()]
    chance, finished = random.Random(20), 0
    for number in range(kills):
        run = begin("run", *said, "--no-timing", "--plugin", path)
        if number % 3 == 0:
            time.sleep(chance.uniform(0, 4))
        else:
            outside.wait(lambda: run.poll() is not None or outside.count() > finished)  # noqa: B023 (waited for here)
            time.sleep(chance.uniform(0, 0.3))
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert outside.count() >= finished
        finished = outside.count()
    ended = api.run(**keys, timing=False, plugins=[path])
    assert ended.tally is not None
    assert (ended.tally.cached, ended.tally.failed) == (finished, 0)
    assert finished > 0
    whole = api.run(**keys, timing=False, plugins=[path], workspace_folder=workspace / "whole")
    assert digits(ended.records()) == digits(whole.records())
    assert outside.sound()


def test_fault_01_workers_and_their_children_end_with_a_killed_run(hangs: Path, begin: Any, outside: Any) -> None:
    """A worker that hangs, and the process that its plugin started, are gone soon after the run was killed."""
    run = begin("run", "--plugin", hangs, "--methods", "hangs", "--sigma", 50, "--dataset", "sk12",
                "--images", "01", "--metrics", "psnr", "--no-timing", "--jobs", 1)  # fmt: skip
    files = (Path("worker.pid"), Path("child.pid"))
    outside.wait(lambda: files[0].exists() and files[0].read_text())
    assert len(outside.alive(*files)) == 2
    run.send_signal(signal.SIGKILL)
    outside.wait(lambda: not outside.alive(*files), seconds=20)


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGTERM"])
def test_fault_04_a_worker_dies_with_a_cell_in_hand(
    hangs: Path, begin: Any, outside: Any, workspace: Path, kind: str
) -> None:
    """The cell is `crashed` with the signal's name, its worker's child is gone, and the others are ok."""
    run = begin("run", "--plugin", hangs, "--methods", "hangs,noisy", "--sigma", 50, "--dataset", "sk12",
                "--images", "01,08", "--metrics", "psnr", "--no-timing", "--jobs", 1, "--json")  # fmt: skip
    outside.wait(lambda: Path("worker.pid").exists() and Path("worker.pid").read_text())
    worker = int(Path("worker.pid").read_text())
    os.kill(worker, getattr(signal, kind))
    out, err = run.communicate(timeout=120)
    assert run.returncode == 4, err
    cells = {(cell["method"], cell["image"]): cell for cell in json.loads(out)["cells"]}
    bad = cells.pop(("hangs", "01"))
    assert (bad["status"], bad["reason"]) == ("crashed", f"the worker was killed by {kind}.")
    assert {cell["status"] for cell in cells.values()} == {"ok"}
    assert not outside.alive(Path("child.pid"))
    assert not [each for each in psutil.process_iter() if each.pid == worker]


@pytest.mark.full
def test_fault_04_a_cell_that_loses_three_dask_workers(plugin: Plugin, begin: Any) -> None:
    """A method that kills the Dask worker around it: retried twice, then `crashed`; all other cells are ok."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    run = begin("run", "--plugin", plugin(KILLER), "--methods", "killer,noisy", "--sigma", 50, "--dataset", "sk12",
                "--images", "01,08", "--metrics", "psnr", "--no-timing", "--jobs", 1, "--engine", "dask",
                "--json")  # fmt: skip
    out, err = run.communicate(timeout=180)
    assert run.returncode == 4, err
    cells = {(cell["method"], cell["image"]): cell for cell in json.loads(out)["cells"]}
    bad = cells.pop(("killer", "01"))
    assert bad["status"] == "crashed"
    assert bad["reason"] == "its Dask worker was lost, and so were the two that had it next."
    assert {cell["status"] for cell in cells.values()} == {"ok"}
    assert err.count("is gone; what it had goes to another one") == 3
