"""Resuming: what is stored is never computed again, a killed run goes on, and no digit depends on how it was run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.records import Tally
from mdnbench.results import Results

Cli = Callable[..., subprocess.CompletedProcess[str]]

# Draws from every global generator, while it is built and while it runs: only clean seeds make its digits repeat.
DICE = """
import random, time
import mdnbench

def build(options, device, weights):
    import numpy, torch
    start = float(torch.rand(1)) + random.random() + float(numpy.random.rand())

    def denoise(noisy, noise):
        time.sleep(0.05)
        luck = float(torch.rand(1)) + random.random() + float(numpy.random.rand())
        return noisy * 0.9 + 0.01 * start + 0.01 * luck

    return denoise

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec(name, "1", name, build) for name in ("dice", "more-dice")]
"""
DIGITS = ("image", "noise", "seed", "method", "status", "psnr", "ssim", "noisy_digest", "output_digest")


@pytest.fixture
def dice(workspace: Path) -> str:
    """The plugin above."""
    (workspace / "dice.py").write_text(DICE, encoding="utf-8")
    return "dice.py"


def run(folder: str, plugin: str, **changes: Any) -> Results:
    """A small run in a workspace of this name."""
    keys: dict[str, Any] = {
        "methods": ["dice", "more-dice", "median"], "sigma": [25, 50], "dataset": "sk12", "images": ["01", "02", "04"],
        "metrics": ["psnr", "ssim"], "timing": False, "jobs": 1, "plugins": [plugin],
    }  # fmt: skip
    return api.run(workspace_folder=Path(folder), **keys | changes)


def digits(results: Results) -> list[tuple[Any, ...]]:
    """All that must be equal to the last digit, in an order that does not depend on the plan."""
    return sorted(tuple(record[name] for name in DIGITS) for record in results.records())


def tally(results: Results) -> Tally:
    """What the run computed."""
    assert results.tally is not None
    return results.tally


def test_jobs_and_order_change_no_digit(dice: str) -> None:
    """One worker or two, methods, levels and images in any order: equal to the last digit, random methods included."""
    first = run("a", dice)
    second = run(
        "b", dice, jobs=2, methods=["median", "more-dice", "dice"], sigma=[50, 25], images=["04", "02", "01"]
    )  # fmt: skip
    assert first.counts == {"ok": 18}
    assert digits(first) == digits(second)
    assert len({record["output_digest"] for record in first.records()}) == 18 - 6  # `dice` and `more-dice` are alike


def test_the_same_command_again_computes_nothing(dice: str) -> None:
    """All comes from the store; one cell more computes that cell alone; --fresh computes all, to the same digits."""
    keys: dict[str, Any] = {"sigma": 50, "images": ["01", "02"], "methods": ["dice", "noisy"]}
    first = run("w", dice, **keys)
    assert tally(first).computed == 4
    again = run("w", dice, **keys)
    assert (tally(again).computed, tally(again).cached) == (0, 4)
    assert digits(again) == digits(first)
    more = run("w", dice, **keys | {"images": ["01", "02", "04"], "methods": ["noisy"]})
    assert (tally(more).computed, tally(more).cached) == (1, 2)
    fresh = run("w", dice, fresh=True, **keys)
    assert (tally(fresh).computed, tally(fresh).cached) == (4, 0)
    assert digits(fresh) == digits(first)


def test_a_new_metric_is_scored_from_kept_images(dice: str) -> None:
    """An output whose image is kept is only scored; without kept images it is computed again, to the same digits."""
    keys: dict[str, Any] = {"sigma": 50, "images": ["01"], "methods": ["dice"]}
    for keep, images in (("first-seed", 1), ("none", 0)):
        first = run(keep, dice, **keys, metrics=["psnr"], keep_images=keep)
        assert len(list((Path(keep) / "images").rglob("*.npy"))) == images
        seconds = [record["seconds"] for record in first.records()]
        both = run(keep, dice, **keys, metrics=["psnr", "ssim"], keep_images=keep)
        (record,) = both.records()
        assert record["ssim"] > 0.05
        assert record["psnr"] == next(iter(first.records()))["psnr"]
        assert ([record["seconds"]] == seconds) == (keep == "first-seed")


def test_what_went_wrong_is_tried_again(workspace: Path) -> None:
    """A cell that failed does not answer from the store: the next run tries it, and it alone."""
    (workspace / "moody.py").write_text(
        "import mdnbench, pathlib\n"
        "def denoise(noisy, noise):\n"
        "    if not pathlib.Path('mended').exists() and noisy.shape[2] == 256:\n"
        "        raise OSError('not yet')\n"
        "    return noisy.clone()\n"
        "@mdnbench.hookimpl\n"
        "def mdnbench_denoisers():\n"
        "    return [mdnbench.DenoiserSpec('moody', '1', 'moody', lambda o, d, w: denoise)]\n"
    )
    keys: dict[str, Any] = {"methods": ["moody"], "sigma": 50, "images": ["01", "08"], "metrics": ["psnr"]}
    assert run("w", "moody.py", **keys).counts == {"ok": 1, "failed": 1}
    (workspace / "mended").touch()
    again = run("w", "moody.py", **keys)
    assert again.counts == {"ok": 2}
    assert (tally(again).computed, tally(again).cached) == (1, 1)


def test_fault_01_a_run_killed_at_random_moments(workspace: Path, dice: str, cli: Cli) -> None:
    """SIGKILL at three random moments: finished cells are kept, and the scores equal an uninterrupted run's."""
    command = [
        "run", "--plugin", dice, "--methods", "dice,more-dice,noisy", "--sigma", "25,50", "--dataset", "sk12",
        "--images", "01,02,04,05", "--metrics", "psnr,ssim", "--no-timing", "--jobs", "2", "--out", "killed",
    ]  # fmt: skip
    chance, finished = random.Random(20), 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "mdnbench", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        start, store = time.monotonic(), workspace / ".mdnbench" / "results.sqlite"
        while process.poll() is None and _stored(store) <= finished and time.monotonic() - start < 60:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert _stored(store) >= finished
        finished = _stored(store)
    ended = cli(*command, "--json")
    assert ended.returncode == 0, ended.stderr
    cells = json.loads(ended.stdout)["cells"]
    whole = run("whole", dice, methods=["dice", "more-dice", "noisy"], images=["01", "02", "04", "05"])
    assert sorted(tuple(cell[name] for name in DIGITS) for cell in cells) == digits(whole)
    assert finished > 0
    assert not _orphans(workspace)


def _stored(path: Path) -> int:
    """How many outputs a store holds, looked at from outside."""
    import sqlite3

    if not path.exists():
        return 0
    connection = sqlite3.connect(path, timeout=10)
    try:
        return int(connection.execute("SELECT count(*) FROM outputs").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0
    finally:
        connection.close()


def _orphans(folder: Path) -> list[int]:
    """Workers of killed runs that are still alive in this folder."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if "spawn_main" in " ".join(process.cmdline()) and process.cwd() == os.fspath(folder):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
