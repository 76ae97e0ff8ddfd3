"""Ctrl-C in front of a plugin that hangs: once waits for it up to its time limit, twice does not."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for other processes")
@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.full)])
@pytest.mark.parametrize("engine", ["local", pytest.param("dask", marks=pytest.mark.full)])
def test_fault_28_ctrl_c_while_a_plugin_hangs(hangs: Path, begin: Any, outside: Any, engine: str, times: int) -> None:
    """130 both times, the finished cell kept, the store sound, and nothing of the worker left."""
    run = begin("run", "--plugin", hangs, "--methods", "hangs", "--sigma", 50, "--dataset", "sk12",
                "--images", "01,08", "--metrics", "psnr", "--no-timing", "--jobs", 1,
                "--engine", engine, "--timeout", 6 if times == 1 else 600)  # fmt: skip
    outside.wait(lambda: Path("worker.pid").exists() and Path("worker.pid").read_text() and outside.count())
    for _ in range(times):
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of its processes
        time.sleep(0.3)
    out, err = run.communicate(timeout=120)
    assert (run.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert ("goes on from there" if times == 1 else "stopped at once") in err.splitlines()[-1]
    assert not outside.alive(Path("worker.pid"), Path("child.pid"))
    assert outside.count() == (2 if times == 1 else 1)
    assert outside.sound()
