"""The clock jumps while a run is going on.

The machine's own clock belongs to everyone who works on it, so each process here is told of the jump by itself: the
coordinator by its `time.time`, the worker by the plugin that changes the worker's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mdnbench import api

PLUGIN = """
import time

def denoise(noisy, noise):
    real = time.time
    time.time = lambda: real() - 86400 * 365
    if noisy.shape[-1] == 256:
        time.sleep(60)
    time.sleep(1.0)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
"""


@pytest.mark.parametrize("jump_s", [pytest.param(86400 * 365, marks=pytest.mark.full), -86400 * 365])
def test_fault_30_the_clock_jumps(plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, jump_s: int) -> None:
    """A year forth ends no cell early, a year back lets none hang for ever, and seconds are those that passed."""
    path, real, start = plugin(PLUGIN), time.time, time.monotonic()
    monkeypatch.setattr(time, "time", lambda: real() + (jump_s if time.monotonic() - start > 1 else 0))
    results = api.run(
        methods=["slow"], sigma=50, dataset="sk12", images=["01", "08"], metrics=["psnr"], timing=False, jobs=1,
        timeout=5, plugins=[path],
    )  # fmt: skip
    seconds = time.monotonic() - start
    hung, well = sorted(results.records(), key=lambda record: record["image"])
    assert hung["status"] == "timeout"
    assert "no answer within 5 s (--timeout)" in hung["reason"]
    assert well["status"] == "ok"
    assert 1.0 <= well["seconds"] < seconds
